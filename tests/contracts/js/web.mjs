// The published web SDK with its OFREP provider. Walks through contexts, asks the same questions in each, and prints what
// went over the wire and what the application got.
import { OpenFeature } from "@openfeature/web-sdk";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";

const { baseUrl, headers, contexts, questions } = JSON.parse(process.argv[2]);
const wire = [];

async function fetchImplementation(request) {
  const response = await fetch(request);
  const body = await response.clone().text();
  wire.push({
    status: response.status,
    ifNoneMatch: request.headers.get("if-none-match"),
    etag: response.headers.get("etag"),
    bytes: body.length,
  });
  return response;
}

function ask(client) {
  return questions.map(({ type, key, fallback }) => client[`get${type}Details`](key, fallback));
}

const options = { baseUrl, headers, fetchImplementation, cacheMode: "disabled", changeDetection: "none" };
const steps = [];
let failure = null;
try {
  await OpenFeature.setContext(contexts[0]);
  await OpenFeature.setProviderAndWait(new OFREPWebProvider(options));
  const client = OpenFeature.getClient();
  steps.push(ask(client));
  for (const context of contexts.slice(1)) {
    await OpenFeature.setContext(context);
    steps.push(ask(client));
  }
} catch (error) {
  failure = { code: error.code, message: String(error.message) };
}
console.log(JSON.stringify({ wire, steps, failure }));
await OpenFeature.close();
