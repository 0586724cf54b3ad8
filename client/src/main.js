import { JuggernautSubscribe } from "./element.js";
import { Juggernaut } from "./juggernaut.js";

/**
 * @param {string} kind
 * @param {any} detail
 */
function fire(kind, detail) {
  document.dispatchEvent(new CustomEvent("juggernaut:" + kind, { detail }));
}

// Script elements come twice: Turbo runs those of a body again, and a page may hold two tags.
if (!customElements.get("juggernaut-subscribe")) {
  const juggernaut = new Juggernaut({ lazy: true });
  Object.assign(window, { Juggernaut, juggernaut });
  juggernaut.on("connect", (detail) => fire("connect", detail));
  juggernaut.on("disconnect", (detail) => fire("disconnect", detail));
  customElements.define("juggernaut-subscribe", JuggernautSubscribe);
}
