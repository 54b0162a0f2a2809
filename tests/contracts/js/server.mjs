// The published server SDK with its OFREP provider. Reads a question as JSON from the command line, prints details as JSON.
import { OpenFeature } from "@openfeature/server-sdk";
import { OFREPProvider } from "@openfeature/ofrep-provider";

const { baseUrl, headers, questions } = JSON.parse(process.argv[2]);
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers }));
const client = OpenFeature.getClient();
const answers = [];
for (const { type, key, fallback, context } of questions) {
  answers.push(await client[`get${type}Details`](key, fallback, context));
}
console.log(JSON.stringify(answers));
await OpenFeature.close();
