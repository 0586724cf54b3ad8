import { JuggernautSubscribe } from "./element.js";
import { fire } from "./events.js";
import { Juggernaut } from "./juggernaut.js";
import { markOwnRequests } from "./own.js";

// Script elements come twice: Turbo runs those of a body again, and a page may hold two tags.
if (!customElements.get("juggernaut-subscribe")) {
  const juggernaut = new Juggernaut({ lazy: true });
  Object.assign(window, { Juggernaut, juggernaut });
  juggernaut.on("connect", (detail) => fire(document, "connect", detail));
  juggernaut.on("disconnect", (detail) => fire(document, "disconnect", detail));
  markOwnRequests(() => juggernaut.client);
  customElements.define("juggernaut-subscribe", JuggernautSubscribe);
}
