// Compiled by bundle.test.js, never run: what a page written in TypeScript may say.
juggernaut.subscribe("news", (data, message) => console.log(data, message.toJSON(), message.wait.toFixed()));
juggernaut.subscribe("order:7", undefined, { token: "…" });
juggernaut.subscribe("order:8", undefined, { token: async () => "…", since: "e:1-1" });
new Juggernaut({ url: "/juggernaut/", token: () => undefined });
document.addEventListener("juggernaut:identity", (event) => event.preventDefault());
const jug = new Juggernaut({ host: "push.example", port: 8080, meta: { user: 1 } });
jug.on("connect", () => console.log(jug.sessionID.length));
document.addEventListener("juggernaut:message", ({ detail }) => console.log(detail.channel.length, detail.data));
document.addEventListener("juggernaut:stale", ({ detail }) => console.log(detail.wait.toFixed(), detail.reason === "gap"));
document.addEventListener("juggernaut:disconnect", ({ detail }) => console.log(detail.reconnect === true));
document.addEventListener("juggernaut:refresh", (event) => event.preventDefault());
// @ts-expect-error: there is no such option
new Juggernaut({ transport: "flash" });
