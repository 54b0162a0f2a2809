// The published web SDK with its OFREP provider, which learns of changes from the stream alone: it never polls.
// Prints a line of JSON when it is ready and one whenever the configuration changed, until its input ends.
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { EventSource } from "eventsource";

const { baseUrl, headers, context, flag } = JSON.parse(process.argv[2]);
const wire = [];

// Node has none of its own; this one is a page's in every respect that counts: only a URL, no headers of ours.
globalThis.EventSource = class extends EventSource {
  constructor(url) {
    wire.push({ stream: url });
    super(url);
  }
};

async function fetchImplementation(request) {
  const response = await fetch(request);
  wire.push({ status: response.status, query: new URL(request.url).search });
  return response;
}

function say(event) {
  const { value, reason } = client.getBooleanDetails(flag, false);
  console.log(JSON.stringify({ event, value, reason, wire: wire.splice(0) }));
}

const client = OpenFeature.getClient();
await OpenFeature.setContext(context);
const provider = new OFREPWebProvider({ baseUrl, headers, fetchImplementation, cacheMode: "disabled", pollInterval: 0 });
await OpenFeature.setProviderAndWait(provider);
client.addHandler(ProviderEvents.ConfigurationChanged, () => say("changed"));
client.addHandler(ProviderEvents.Stale, () => say("stale"));
say("ready");
for await (const _ of process.stdin) {
  // Whoever started us says when it is enough.
}
await OpenFeature.close();
