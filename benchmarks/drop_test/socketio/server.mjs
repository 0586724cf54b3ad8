// node server.mjs PORT
import { options, require } from "./adapter.mjs";

const { Server } = require("socket.io");

const io = new Server(await options());
io.on("connection", (socket) => {
  if (!socket.recovered) socket.join("news");
});
io.listen(Number(process.argv[2]));
