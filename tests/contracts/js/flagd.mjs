// The published flagd core (bucketing generation v2), and the in-process provider in file mode, on definitions we export.
// Reads a question from the first file named on the command line and writes to the second one the variant, value and
// reason of every pair.
import { readFileSync, writeFileSync } from "node:fs";
import { FlagdCore } from "@openfeature/flagd-core";
import { FlagdProvider } from "@openfeature/flagd-provider";
import { OpenFeature } from "@openfeature/server-sdk";

const { now, contexts, environments, path, keys } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const quiet = { error() {}, warn() {}, info() {}, debug() {} };
const methods = { boolean: "Boolean", string: "String", integer: "Number", float: "Number", object: "Object" };
const answer = ({ variant, value, reason, errorCode }) => [variant ?? null, value ?? null, reason, errorCode ?? null];

function askCore({ definition, flags }) {
  const core = new FlagdCore(undefined, quiet);
  core.setConfigurations(definition);
  return flags.map(([key, type]) =>
    contexts.map((context) => answer(core[`resolve${methods[type]}Evaluation`](key, null, context, quiet))),
  );
}

async function askProvider() {
  await OpenFeature.setProviderAndWait(new FlagdProvider({ resolverType: "in-process", offlineFlagSourcePath: path }));
  const client = OpenFeature.getClient();
  const answers = [];
  for (const [key, type] of keys) {
    for (const context of contexts.slice(0, 20)) {
      const details = await client[`get${methods[type]}Details`](key, null, context);
      answers.push([...answer(details), details.flagMetadata]);
    }
  }
  await OpenFeature.close();
  return answers;
}

const clock = Date.now;
Date.now = () => now * 1000 + 900;
const core = environments.map(askCore);
Date.now = clock;
writeFileSync(process.argv[3], JSON.stringify({ core, provider: await askProvider() }));
// The provider's file watcher would keep the process alive.
process.exit(0);
