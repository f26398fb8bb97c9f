// What is wrong and what to do, the worst first. Pure: a view comes in, words go out.
//
// A problem is {level, what, then, todo}: one line that says what is wrong, what follows from it for clients,
// and what to do, as texts and {code} for what is to be typed.

import { counted, inWords, list, number, sentence, short } from "./words.js";

const MOST_REASON = 110; // characters in a headline; the node's card has all of it
const RANK = { bad: 0, warn: 1, off: 2 };

/** Return all problems; empty when all is well. */
export function problems(view) {
  const found = [];
  const serving = view.nodes.filter((node) => node.serves);
  if (serving.length === 0) found.push(nobodyServes(view));
  const told = new Set(serving.length === 0 ? sameCause(view.nodes) : []);
  if (serving.length > 0) for (const site of deadSites(view)) found.push(siteDown(site, serving, told));
  if (view.refusing > 0) found.push(overloaded(view));
  for (const [kind, nodes] of byKind(view.nodes.filter((node) => !told.has(node)))) {
    found.push(nodesOut(kind, nodes, serving));
  }
  for (const node of view.nodes) found.push(...besides(node));
  found.push(...saidByProxy(view));
  if (view.failing > 0 && view.refusing === 0 && serving.length > 0) found.push(failing(view));
  if (serving.length === 1 && view.nodes.length > 1) found.push(oneLeft(serving[0]));
  return found.sort((a, b) => RANK[a.level] - RANK[b.level]);
}

/** The headline while nothing is wrong. */
export function allWell(view) {
  const serving = view.nodes.filter((node) => node.serves);
  const what = serving.length > 1 ? `All ${serving.length} nodes serve.` : `${serving[0]?.name ?? "The node"} serves.`;
  return { level: "ok", what, then: "Nothing to do.", todo: [] };
}

// ---- nobody serves ---------------------------------------------------------------------------------------------------

function nobodyServes(view) {
  const then = "Every request is refused.";
  if (view.nodes.length === 0) {
    return { level: "bad", what: "No node is configured.", then, todo: ["Name the nodes in cluster.toml."] };
  }
  const kinds = byKind(view.nodes);
  const [kind] = kinds.keys();
  if (kinds.size > 1) {
    return { level: "bad", what: "No node serves.", then, todo: ["Bring back the one that is quickest to mend:"] };
  }
  const what = NOBODY[kind] ?? "No node serves.";
  return { level: "bad", what, then, todo: KINDS[kind].todo(view.nodes) };
}

const NOBODY = {
  down: "No node can be reached.",
  drain: "No node serves: an operator took all of them out of service.",
  maintain: "No node serves: all of them are in maintenance.",
  sealed: "No node serves: all of them are sealed.",
};

/** The nodes that the headline about all of them speaks of already. */
function sameCause(nodes) {
  return byKind(nodes).size === 1 ? nodes : [];
}

// ---- a data centre ---------------------------------------------------------------------------------------------------

function deadSites(view) {
  if (view.sites.filter((site) => site.nodes.length > 0).length < 2) return [];
  return view.sites.filter((site) => site.nodes.length > 0 && site.nodes.every((node) => kindOf(node) === "down"));
}

function siteDown(site, serving, told) {
  for (const node of site.nodes) told.add(node);
  const [only, ...more] = site.nodes;
  const which = more.length > 0 ? `none of its ${inWords(site.nodes.length)} nodes can` : `its only node, ${only.name}, cannot`;
  const lines = site.uplinks.filter((uplink) => uplink.state === "down").map((uplink) => uplink.name);
  const uplinks = lines.length > 0 ? ` and its ${lines.length > 1 ? "uplinks" : "uplink"} ${list(lines)}` : "";
  return {
    level: "bad", what: `Site ${site.name} is down: ${which} be reached.`, then: others(serving),
    todo: [
      `Look at power and network of ${site.name}${uplinks} first; then at its nodes: `,
      { code: "systemctl status 'hsm-node@*'" }, ".",
    ],
  };
}

// ---- nodes that are out ----------------------------------------------------------------------------------------------

/** What keeps a node out of service; empty for one that serves, or that waits where waiting is its part. */
function kindOf(node) {
  if (node.administrative !== "ready") return node.administrative === "drain" ? "drain" : "maintain";
  if (node.serves || node.state === "standby") return "";
  return node.state in KINDS ? node.state : "down";
}

function byKind(nodes) {
  const kinds = new Map();
  for (const node of nodes) {
    const kind = kindOf(node);
    if (kind) kinds.set(kind, [...(kinds.get(kind) ?? []), node]);
  }
  return kinds;
}

const journal = (nodes) => ({ code: `journalctl -u hsm-node@${nodes.length === 1 ? nodes[0].name : "NAME"} -n 50` });
const enable = (nodes) => ({ code: `hsmctl node enable ${nodes.length === 1 ? nodes[0].name : "NAME"}` });

const KINDS = {
  down: {
    level: "bad", words: "down",
    todo: (nodes) => [
      `Look at hsm-node on ${nodes.length === 1 ? "its host" : "their hosts"}: `,
      { code: `systemctl status hsm-node@${nodes.length === 1 ? nodes[0].name : "NAME"}` }, ", then ", journal(nodes), ".",
    ],
  },
  blocked: {
    level: "bad", words: "blocked", usual: "it answers its checks and finishes no work",
    todo: (nodes) => ["Look at its HSM device, and at ", journal(nodes), ". It is tried again by itself."],
  },
  ejected: {
    level: "bad", words: "taken out", usual: "its answers failed",
    todo: (nodes) => ["Look at its HSM device, and at ", journal(nodes), ". It is tried again by itself."],
  },
  fenced: {
    level: "bad", words: "fenced", usual: "another part of the cluster has taken over",
    todo: (nodes) => ["Look at ", journal(nodes), "."],
  },
  sealed: {
    level: "bad", words: "sealed", usual: "it waits for shares of its master key",
    todo: () => ["Holders of shares unseal it on its host: ", { code: "hsmctl unseal" }, "."],
  },
  locked: {
    level: "bad", words: "locked", usual: "its device waits for a PIN",
    todo: (nodes) => ["Unlock its device; ", journal(nodes), " says more."],
  },
  stale: {
    level: "warn", words: "behind", usual: "it has no contact to its store",
    todo: (nodes) => ["Look at the store that it uses, and at ", journal(nodes), "."],
  },
  lacking: {
    level: "warn", words: "lacking", usual: "it cannot use all keys that are stored",
    todo: () => ["Give it a device that can, or destroy the keys that it cannot use. It serves while no other node can."],
  },
  probing: {
    level: "warn", words: "on trial", usual: "it gets one request to see whether it works again",
    todo: () => ["Wait: it serves again when that succeeds."],
  },
  drain: {
    level: "off", words: "drained", usual: "an operator asked for it",
    todo: (nodes) => ["When the work is done: ", enable(nodes), "."],
  },
  maintain: {
    level: "off", words: "in maintenance", usual: "an operator asked for it",
    todo: (nodes) => ["When the work is done: ", enable(nodes), "."],
  },
};

function nodesOut(kind, nodes, serving) {
  const { level, words, usual, todo } = KINDS[kind];
  const names = list(nodes.map((node) => node.name));
  const reasons = new Set(nodes.map((node) => plainReason(node)));
  const known = reasons.size === 1 ? [...reasons][0] : "";
  const own = kind === "sealed" || level === "off" ? "" : known;
  const reason = own || (nodes.length === 1 ? usual : "") || "";
  const why = reason ? `: ${short(reason, MOST_REASON)}` : "";
  return {
    level, what: `${names} ${nodes.length === 1 ? "is" : "are"} ${words}${why}.`,
    then: serving.length > 0 ? others(serving) : "", todo: todo(nodes),
  };
}

/** The reason without the names of its paths where all of them say the same; nothing where it says nothing new. */
export function plainReason(node) {
  if (!node.reason || node.reason.startsWith("the node reports that it is ")) return "";
  const parts = node.reason.split("; ").map((part) => {
    const uplink = node.paths.find((path) => part.startsWith(`${path.uplink}: `))?.uplink;
    const said = uplink === undefined ? part : part.slice(uplink.length + 2);
    return inSentence(said);
  });
  return new Set(parts).size === 1 ? parts[0] : node.reason;
}

/** A reason as it stands within a sentence; the proxy's sentences have it so as well. */
export function inSentence(reason) {
  const words = reason.replace(/^cannot connect: /, "");
  return /^[A-Z][a-z]/.test(words) ? words.charAt(0).toLowerCase() + words.slice(1) : words;
}

function others(serving) {
  if (serving.length === 1) return `All requests go to ${serving[0].name}.`;
  return `Requests go to the other ${inWords(serving.length)}.`;
}

// ---- what is wrong while they serve ----------------------------------------------------------------------------------

function* besides(node) {
  if (node.storeFault) {
    yield {
      level: "warn", what: `The store of ${node.name} differs: ${short(node.storeFault, MOST_REASON)}.`, then: "",
      todo: ["Keep it running; see who could write that store."],
    };
  }
  if (node.serves && node.lostPaths.length > 0) {
    const lost = list(node.lostPaths.map((path) => path.uplink));
    const all = inWords(node.paths.length);
    const are = node.lostPaths.length === 1 ? "is" : "are";
    yield {
      level: "warn", what: `${sentence(inWords(node.lostPaths.length))} of ${all} paths to ${node.name} ${are} down: ${lost}.`,
      then: `${node.name} still serves.`, todo: [`Look at the line ${lost} between the sites.`],
    };
  }
}

/** What the proxy calls wrong beside all that: its own certificate, its configuration, slow nodes. */
function* saidByProxy(view) {
  const told = (text) => TOLD.some((form) => form.test(text)) || (view.refusing > 0 && text.startsWith("overload: "));
  for (const text of view.problems.filter((each) => !told(each))) {
    const { level, todo } = SAID.find(({ form }) => form.test(text)) ?? { level: "warn", todo: [] };
    const named = view.nodes.some((node) => text.startsWith(`${node.name} `)); // names stay as they are
    yield { level, what: `${named ? short(text, MOST_REASON) : sentence(short(text, MOST_REASON))}.`, then: "", todo };
  }
}

const TOLD = [/ does not serve: /, / does not answer over /, /^store of /, /^no HSM node can/, /^every HSM node that/];

const SAID = [
  {
    form: /certificate/, level: "bad",
    todo: ["Renew it, put it in place of the old one, and: ", { code: "systemctl reload hsm-proxy" }, "."],
  },
  {
    form: /configuration has a fault/, level: "warn",
    todo: [{ code: "journalctl -u hsm-proxy -n 50" }, " names the fault; mend it, then: ", { code: "systemctl reload hsm-proxy" }, "."],
  },
  {
    form: / is slow and /, level: "warn",
    todo: ["Compare its device and its host with those of the others: ", { code: "hsmctl top" }, "."],
  },
  { form: / with an old state of the store/, level: "warn", todo: ["Look at the store that it uses."] },
  {
    form: /^[^ ]+ is out: /, level: "warn",
    todo: [
      "Bring it back; one that is off for good is taken out of cluster.toml, and then removed: ",
      { code: "hsmctl node remove NAME" }, ".",
    ],
  },
  {
    form: /^store member /, level: "warn",
    todo: ["Mend it today: changes need more than half of the members: ", { code: "systemctl status redoubt-etcd" }, "."],
  },
  { form: /^overload: /, level: "warn", todo: ["It is over when nothing has been refused for ten seconds."] },
];

function overloaded(view) {
  const part = view.rate ? view.refusing / view.rate : 1;
  return {
    level: "bad", what: `The cluster is overloaded: ${number(view.refusing)} requests a second are refused.`,
    then: part < 0.995 ? `That is ${Math.max(1, Math.round(part * 100))} % of what clients ask for.` : "",
    todo: ["Find who asks for that much, or bring more nodes into service: ", { code: "hsmctl top" }, "."],
  };
}

function failing(view) {
  return {
    level: "warn", what: `${number(view.failing)} requests a second fail.`, then: "",
    todo: ["The log of the proxy says which and why: ", { code: "journalctl -u hsm-proxy -n 50" }, "."],
  };
}

function oneLeft(node) {
  return {
    level: "warn", what: `Only ${node.name} is left: one more fault stops the service.`, then: "",
    todo: ["Bring back another node first."],
  };
}

/** How many nodes serve, for the title of the window. */
export function inShort(view) {
  const serving = view.nodes.filter((node) => node.serves).length;
  return `${serving} of ${counted(view.nodes.length, "node")} serve`;
}
