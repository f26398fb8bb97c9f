// The headline: what is wrong and what to do, in one look.

import { allWell, inShort, problems } from "./problems.js";
import { Children, make, mark, say, sayParts, showSign } from "./elements.js";
import { duration, timeOfDay } from "./words.js";

const MOST_MORE = 6; // problems beneath the headline; the sites show all
const SIGN_PX = 44;

export class Verdict {
  constructor(document) {
    const at = (id) => document.getElementById(id);
    this.document = document;
    this.section = at("verdict");
    this.sign = at("verdict-icon");
    this.what = at("verdict-what");
    this.then = at("verdict-then");
    this.todo = at("verdict-do");
    this.moreList = at("verdict-more");
    this.icon = at("icon");
    this.more = new Children(this.moreList, (problem) => problem.what, line);
  }

  /** Say how the cluster is. */
  show(view) {
    const [first, ...rest] = problems(view);
    this.say(first ?? allWell(view), rest.slice(0, MOST_MORE));
    say(this.document.querySelector("title"), `${inShort(view)} – ${view.cluster || "Redoubt"}`);
  }

  /** Say that the proxy does not answer. */
  lost(silentS, lastSeen) {
    const then = lastSeen ? `All below is from ${timeOfDay(lastSeen)} and may have changed since.` : "";
    this.say({
      level: "bad", what: "No answer from the proxy.", then,
      todo: [
        `Silent for ${duration(silentS)}. On its host: `, { code: "systemctl status hsm-proxy" }, ", then ",
        { code: "journalctl -u hsm-proxy -n 50" }, ". This page goes on asking.",
      ],
    }, []);
    say(this.document.querySelector("title"), "No answer – Redoubt");
  }

  say({ level, what, then, todo }, rest) {
    mark(this.section, "data-level", level);
    showSign(this.sign, level, SIGN_PX);
    mark(this.icon, "href", `page/icon-${level}.svg`);
    say(this.what, what);
    say(this.then, then);
    sayParts(this.todo, todo);
    this.todo.hidden = todo.length === 0;
    this.more.update(rest);
    this.moreList.hidden = rest.length === 0;
  }
}

function line() {
  const element = make("li");
  const signAt = make("span", "more-sign");
  const what = make("span", "more-what");
  const todo = make("span", "more-do");
  element.append(signAt, make("span", "more-text", what, " ", todo));
  return {
    element,
    update(problem) {
      showSign(signAt, problem.level);
      say(what, problem.what);
      sayParts(todo, problem.todo);
    },
  };
}
