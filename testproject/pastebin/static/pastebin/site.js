// A line for each reply to one of the user's pastes, on whatever page he is. The rest of the site needs no JavaScript.
"use strict";

const notices = document.getElementById("notices");

notices.addEventListener("juggernaut:message", (event) => {
  const { notice, user, paste, reply } = event.detail.data;
  if (notice !== "reply") return;
  const line = notices.querySelector("template").content.cloneNode(true);
  line.querySelector(".user").textContent = user;
  setLink(line.querySelector(".paste"), paste);
  setLink(line.querySelector(".reply"), reply);
  if (paste.url === location.pathname) line.querySelector(".where").textContent = "this paste";
  notices.append(line);
});

function setLink(link, { name, url }) {
  link.textContent = name;
  link.href = url;
}
