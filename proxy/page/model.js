// What the proxy said, checked and with defaults: the rest of the page need not doubt it.
//
// Levels, from good to bad: "ok" serves, "off" is out on purpose, "warn" needs a look, "bad" is broken.

const MOST_TEXT = 300; // characters of any one text; the proxy's own limit is 256
const MOST = { sites: 16, nodes: 32, paths: 8, events: 50, problems: 16, workers: 64 };

/** Return the view of a `/status` document, or null when it is none. */
export function read(document) {
  if (!isObject(document) || !Array.isArray(document.nodes)) return null;
  const nodes = many(document.nodes, MOST.nodes, node);
  const view = {
    proxy: text(document.proxy), site: text(document.site), cluster: text(document.cluster),
    software: text(document.software), uptimeS: (number(document.uptime_ms) ?? 0) / 1000,
    clients: number(document.clients) ?? 0,
    rate: number(document.requests_per_second), p50: number(document.p50_ms), p99: number(document.p99_ms),
    failing: number(document.failed_per_second) ?? 0, refusing: number(document.overloaded_per_second) ?? 0,
    inFlight: number(document.in_flight) ?? nodes.reduce((sum, each) => sum + each.inFlight, 0),
    waiting: number(document.waiting) ?? 0,
    nodes, events: many(document.events, MOST.events, event),
    workers: many(document.workers, MOST.workers, worker),
    problems: Array.isArray(document.problems) ? document.problems.slice(0, MOST.problems).map(text).filter(Boolean) : [],
  };
  view.sites = sites(many(document.sites, MOST.sites, site), nodes);
  return view;
}

function worker(raw) {
  return {
    number: number(raw.number) ?? 0, state: text(raw.state) || "absent", clients: number(raw.clients) ?? 0,
    rate: number(raw.requests_per_second), inFlight: number(raw.in_flight) ?? 0, restarts: number(raw.restarts) ?? 0,
  };
}

function node(raw) {
  const made = {
    name: text(raw.name), site: text(raw.site), state: text(raw.state) || "down",
    administrative: text(raw.administrative_state) || "ready",
    reason: text(raw.reason), storeFault: text(raw.store_fault),
    lagRecords: number(raw.lag_records), lagS: number(raw.lag_s),
    serves: raw.in_rotation === true, inFlight: number(raw.in_flight) ?? 0, window: number(raw.window) ?? 0,
    share: number(raw.share), p50: number(raw.p50_ms), p99: number(raw.p99_ms), sinceS: number(raw.since_s),
    paths: many(raw.paths, MOST.paths, path),
  };
  made.lostPaths = made.paths.filter((each) => !each.up);
  made.level = levelOf(made);
  return made;
}

function levelOf(made) {
  if (made.administrative !== "ready") return "off";
  if (made.state === "up") return !made.serves || made.lostPaths.length || made.storeFault ? "warn" : "ok";
  if (made.state === "standby") return "off";
  return ["probing", "stale", "lacking", "sealed", "locked"].includes(made.state) ? "warn" : "bad";
}

function path(raw) {
  return { uplink: text(raw.uplink), up: text(raw.state) === "up", reason: text(raw.reason) };
}

function site(raw) {
  return {
    name: text(raw.name), role: text(raw.role) || "active", riskZone: text(raw.risk_zone),
    latitude: within(raw.latitude, 90), longitude: within(raw.longitude, 180),
    uplinks: many(raw.uplinks, MOST.paths, (each) => ({ name: text(each.name), state: text(each.state) })),
  };
}

/** Give each site its nodes; sites that only nodes name are sites too. */
function sites(listed, nodes) {
  const all = [...listed];
  for (const each of nodes) {
    if (!all.some((known) => known.name === each.site)) all.push(site({ name: each.site }));
  }
  for (const each of all) {
    each.nodes = nodes.filter((one) => one.site === each.name);
    each.level = siteLevel(each);
  }
  return all;
}

function siteLevel(each) {
  const levels = each.nodes.map((one) => one.level);
  if (levels.length === 0) return "off";
  if (levels.every((level) => level === "off")) return "off";
  if (!each.nodes.some((one) => one.serves)) return "bad";
  if (levels.includes("bad") || levels.includes("warn")) return "warn";
  return each.uplinks.some((uplink) => uplink.state === "down") ? "warn" : "ok";
}

function event(raw) {
  const severity = text(raw.severity);
  return {
    number: number(raw.number) ?? 0, at: moment(raw.at), what: text(raw.what), site: text(raw.site),
    node: text(raw.node), severity: ["info", "warning", "error"].includes(severity) ? severity : "info",
  };
}

function many(raw, most, read) {
  return Array.isArray(raw) ? raw.filter(isObject).slice(-most).map(read) : [];
}

function isObject(value) {
  return typeof value === "object" && value !== null;
}

function text(value) {
  return typeof value === "string" ? value.slice(0, MOST_TEXT) : "";
}

function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function within(value, most) {
  const found = number(value);
  return found !== null && Math.abs(found) <= most ? found : null;
}

function moment(value) {
  const found = new Date(text(value));
  return Number.isNaN(found.getTime()) ? null : found;
}
