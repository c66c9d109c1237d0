// Keeps the part of the page with id "live" fresh. Without this script the page reloads itself instead.
"use strict";
const part = document.getElementById("live");
if (part && part.dataset.source) {
  const source = new EventSource(part.dataset.source);
  const stale = (yes) => document.body.classList.toggle("is-stale", yes);
  source.addEventListener("open", () => stale(false));
  source.addEventListener("error", () => {
    stale(true); // the browser connects again by itself, unless it was refused
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 10000);
  });
  source.addEventListener("fresh", (event) => { stale(false); part.innerHTML = event.data; });
  source.addEventListener("end", () => { source.close(); location.reload(); });
  addEventListener("pagehide", () => source.close());
}
