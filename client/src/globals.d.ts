// What the bundle adds to a page. build.js appends this to juggernaut.d.ts.
import type { Juggernaut as JuggernautClass } from "./juggernaut.js";
import type { Ending, ErrorDetail, MessageDetail, StaleDetail, SubscribedDetail } from "./types.js";

declare global {
  /** The page's connection. */
  var juggernaut: JuggernautClass;
  var Juggernaut: typeof JuggernautClass;

  interface DocumentEventMap {
    "juggernaut:connect": CustomEvent<{ client: string }>;
    "juggernaut:disconnect": CustomEvent<Ending>;
    "juggernaut:identity": CustomEvent<null>;
  }

  interface GlobalEventHandlersEventMap {
    "juggernaut:subscribed": CustomEvent<SubscribedDetail>;
    "juggernaut:message": CustomEvent<MessageDetail>;
    "juggernaut:stale": CustomEvent<StaleDetail>;
    "juggernaut:error": CustomEvent<ErrorDetail>;
    "juggernaut:refresh": CustomEvent<{ url: string; selector: string; page: Document }>;
    "juggernaut:refreshed": CustomEvent<{ url: string; selector: string; parts: Element[] }>;
  }
}
