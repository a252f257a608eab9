// Keeps a page up to date. Nothing here is needed to read it.
"use strict";

const MOST_LINES = 500;
const LIST_EVERY_MS = 5000;

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const today = at.toDateString() === new Date().toDateString();
    time.title = at.toLocaleString();
    time.textContent = today
      ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
      : at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
}

function lineOf(event) {
  if (event.state) return ["", `The job is ${event.state}`];
  if (event.warning) return ["warning", event.warning];
  if (event.preview) return ["", `New picture: ${event.preview}`];
  return null;
}

class JobPage {
  constructor(article) {
    this.article = article;
    this.find = (name) => article.querySelector(`[data-${name}]`);
    this.log = this.find("log");
    this.stage = null;
    this.pictureShown();
  }

  follow(url) {
    const source = new EventSource(url);
    source.onmessage = (message) => this.take(JSON.parse(message.data), source);
    source.addEventListener("end", () => source.close());
  }

  take(event, source) {
    if (event.stage) this.moved(event);
    if (event.state) this.changed(event.state);
    if (event.preview) this.picture(event);
    const line = lineOf(event);
    if (line) this.write(event.time, ...line);
    if (event.final) {
      source.close();
      // The page of a job that has ended says more: how long it took, its report.
      if (this.article.dataset.events) location.reload();
    }
  }

  moved(event) {
    const { name, done, total, text } = event.stage;
    if (name !== this.stage) this.write(event.time, "", `Stage ${name} begins`);
    this.stage = name;
    this.find("stage").textContent = name;
    this.find("stage-text").textContent = text;
    this.find("bar").max = Math.max(total, 1);
    this.find("bar").value = done;
  }

  changed(state) {
    const badge = this.find("state");
    badge.className = `badge ${state}`;
    badge.textContent = state;
  }

  picture(event) {
    this.find("preview").src = `${this.article.dataset.job}/preview?at=${event.sequence}`;
    this.title = event.preview;
  }

  pictureShown() {
    const image = this.find("preview");
    const caption = this.find("preview-title");
    const seen = () => {
      image.classList.remove("absent");
      caption.textContent = this.title || "The latest picture";
    };
    const absent = () => {
      image.classList.add("absent");
      caption.textContent = "No picture yet";
    };
    image.addEventListener("load", seen);
    image.addEventListener("error", absent);
    if (image.complete) (image.naturalWidth ? seen : absent)();
  }

  write(time, kind, text) {
    const item = document.createElement("li");
    const when = document.createElement("time");
    when.dateTime = time;
    const what = document.createElement("span");
    what.className = kind;
    what.textContent = text;
    item.append(when, what);
    const at = new Date(time);
    when.title = at.toLocaleString();
    when.textContent = at.toLocaleTimeString();
    const atEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 4;
    this.log.append(item);
    while (this.log.children.length > MOST_LINES) this.log.firstChild.remove();
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }
}

async function refreshList() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected) return location.assign(answer.url);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [now, then] = [document, page].map((d) => d.querySelector("[data-live-list] tbody"));
    if (!now || !then) return;
    const focused = document.activeElement?.getAttribute("href");
    localTimes(then);
    now.replaceWith(then);
    if (focused) then.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  } catch {
    // The gateway is away for a moment; the next round asks again.
  }
}

localTimes(document);
const article = document.querySelector("article[data-job]");
if (article) {
  const log = article.querySelector("[data-log-card]");
  new JobPage(article).follow(article.dataset.events || log.dataset.replay);
}
if (document.querySelector("[data-live-list]")) setInterval(refreshList, LIST_EVERY_MS);
