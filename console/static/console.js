/* What a page does by itself: rows that come and go, countdowns, keys, and what was written is kept.  No page needs it to be read. */
"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const offset = Number(document.body.dataset.now) - Date.now();
  const now = () => Date.now() + offset;
  const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const MINUTE = 60_000;
  const DOING = { accept: "taken just now", attempted: "no answer", contacted: "reached", decline: "declined", reopen: "open again" };

  // -- time
  const span = (ms) => {
    const minutes = Math.floor(ms / MINUTE), hours = Math.floor(minutes / 60);
    if (minutes < 1) return `${Math.floor(ms / 1000)} s`;
    if (hours < 1) return `${minutes} min`;
    if (hours < 24) return minutes % 60 && hours < 10 ? `${hours} h ${String(minutes % 60).padStart(2, "0")}` : `${hours} h`;
    return hours < 48 ? "1 day" : `${Math.floor(hours / 24)} days`;
  };
  const left = (ms) => {
    if (ms < 0) return `${span(-ms)} late`;
    return ms < 2 * MINUTE ? `${Math.floor(ms / MINUTE)}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}` : span(ms);
  };
  const ago = (ms) => (ms < MINUTE ? "just now" : `${span(ms)} ago`);
  const write = (element, text) => { if (element && element.textContent !== text) element.textContent = text; };
  function tick() {
    for (const row of $$(".row:not(.gone, .over)")) {
      const due = Number(row.dataset.due), countdown = $(".countdown", row);
      if (due && countdown) {
        write(countdown, left(due - now()));
        $("progress", row).value = Math.max(due - now(), 0);
        row.classList.toggle("late", due < now());
      }
      write($(".ago", row), ago(now() - Number(row.dataset.asked)));
    }
  }
  function exact(event) {
    const time = event.target.closest?.("time[data-exact]");
    if (time && !time.title) time.title = new Date(Number(time.dataset.exact)).toLocaleString([], { dateStyle: "full", timeStyle: "medium" });
  }

  // -- rows
  const lists = () => $$(".list[data-list]");
  const find = (id) => $(`.row[data-request="${CSS.escape(id)}"]`);
  const isDesk = Boolean($(".board"));
  const urgency = (row) => [isDesk && !row.matches(".owned") ? 0 : Number(row.dataset.due) || Infinity, Number(row.dataset.asked)];
  const isBusy = (row) => $(".more[open]", row) || row.classList.contains("doing");
  const someoneIsOn = (list) => scrollY > 40 || list.matches(":hover") || list.contains(document.activeElement);
  const waiting = new Map();
  const held = new Map();

  function parse(html) {
    const template = document.createElement("template");
    template.innerHTML = html.trim();
    return template.content.firstElementChild;
  }
  function count() {
    for (const list of lists()) {
      const rows = $$(".row:not(.gone, .over)", list).length;
      write($(".count", list), String(rows));
      const news = [...waiting.values()].filter((row) => listOf(row) === list).length, button = $("button.new", list);
      if (button) button.hidden = !news;
      write(button, `${news} new`);
      if (list.dataset.list === "hand") document.title = document.title.replace(/^\(\d+\) /, "").replace(/^/, rows ? `(${rows}) ` : "");
    }
  }
  const listOf = (row) => $(`.list[data-list="${row.classList.contains("hand") ? "hand" : "lead"}"]`) ?? $(".list[data-list]");
  function settle(row) {
    window.htmx?.process(row);
    restore(row);
    aside(row);
    tick();
    count();
  }
  function insert(row) {
    const place = listOf(row);
    if (!place) return;
    const [due, asked] = urgency(row);
    const after = $$(".row", place).find((other) => {
      const [otherDue, otherAsked] = urgency(other);
      return otherDue > due || (otherDue === due && otherAsked > asked);
    });
    row.classList.add("arrives");
    $(".rows", place).insertBefore(row, after ?? null);
    settle(row);
  }
  function arrive(html) {
    const row = parse(html), id = row.dataset.request, there = find(id);
    held.delete(id);
    if (!there) {
      const person = $(".person"), place = listOf(row);
      if (person && person.dataset.person !== row.dataset.lead) return;
      if (place && someoneIsOn(place)) waiting.set(id, row);
      else insert(row);
      return count();
    }
    if (there.dataset.version === row.dataset.version && !there.matches(".gone, .doing")) return;
    if (isBusy(there)) return void held.set(id, html);
    replace(there, row);
  }
  function replace(there, row) {
    const focused = there === document.activeElement, within = there.contains(document.activeElement);
    there.replaceWith(row);
    if (focused || within) row.focus({ preventScroll: true });
    settle(row);
  }
  function leave({ id, text }) {
    waiting.delete(id);
    held.delete(id);
    const row = find(id);
    if (row && !row.matches(".over")) {
      row.classList.add("gone");
      write($(".status", row), text);
      $(".status", row).classList.remove("hidden");
      const owner = $(".state .owner", row);
      if (owner) owner.hidden = true;
    }
    count();
  }
  function sweep() {
    // What is over goes when nobody is on the list, so that nothing moves under a pointer.
    for (const list of lists()) {
      if (someoneIsOn(list)) continue;
      for (const row of $$(".row.gone, .row.over", list)) {
        row.dataset.sweeps = Number(row.dataset.sweeps ?? 0) + 1;
        if (row.dataset.sweeps > 8) row.remove();
      }
      for (const [id, row] of waiting) if (listOf(row) === list) { waiting.delete(id); insert(row); }
    }
    for (const [id, html] of held) {
      const row = find(id);
      if (!row) held.delete(id);
      else if (!isBusy(row)) { held.delete(id); replace(row, parse(html)); }
    }
    count();
  }

  // -- the stream
  let source, last = document.body.dataset.now, offline = 0;
  const seen = new Set();
  const sign = $("#link");
  function shown(state, text) {
    if (!sign) return;
    sign.className = `link ${state}`;
    write(sign, text);
  }
  function listen() {
    source = new EventSource(`${document.body.dataset.live}${document.body.dataset.live.includes("?") ? "&" : "?"}since=${last}`);
    const on = (name, act) => source.addEventListener(name, (event) => {
      if (event.lastEventId) last = event.lastEventId;
      act(event.data);
    });
    source.onopen = () => { offline = 0; shown("is-live", "live"); };
    source.onerror = () => {
      offline ||= Date.now();
      shown("is-off", `offline since ${clock(offline)}`);
      say(`Offline since ${clock(offline)}. What you see is as of then; what you write is kept.`);
      if (source.readyState === EventSource.CLOSED) again();
    };
    on("hello", () => {});
    on("gap", () => location.reload());
    on("bye", () => { source.close(); again(); });
    on("row", arrive);
    on("gone", (data) => leave(JSON.parse(data)));
    on("trouble", (data) => trouble(JSON.parse(data).text));
    on("presence", (data) => present(JSON.parse(data)));
    on("note", (data) => {
      const note = JSON.parse(data);
      if (!seen.has(note.id) && seen.add(note.id)) say(note.text);
    });
  }
  function again() {
    setTimeout(async () => {
      const answer = await fetch("/presence", { method: "HEAD", redirect: "manual" }).catch(() => null);
      if (answer?.type === "opaqueredirect" || answer?.status === 401) location.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
      else listen();
    }, 2000);
  }
  function trouble(text) {
    const strip = $("#trouble");
    strip.hidden = !text;
    write(strip, text);
  }
  function present({ rep, state }) {
    const row = $(`tr[data-rep="${CSS.escape(rep)}"]`);
    if (row) { write($(".word", row), state); $(".dot", row).className = `dot ${state}`; }
  }

  // -- what people do
  let saying, acted = "";
  function say(text, label, act) {
    const toast = $("#toast");
    if (!toast) return;
    toast.replaceChildren(text);
    if (label) {
      const button = document.createElement("button");
      button.textContent = label;
      button.onclick = () => { toast.hidden = true; act(); };
      toast.append(button);
    }
    toast.hidden = false;
    clearTimeout(saying);
    saying = setTimeout(() => { toast.hidden = true; }, 8000);
  }
  const kept = (row) => `note:${row.dataset.request}`;
  function keep(row) {
    const note = $("textarea", row)?.value ?? "";
    const stored = JSON.parse(sessionStorage.getItem(kept(row)) ?? "{}");
    sessionStorage.setItem(kept(row), JSON.stringify({ ...stored, note }));
  }
  function restore(row) {
    const stored = JSON.parse(sessionStorage.getItem(kept(row)) ?? "{}"), box = $("textarea", row);
    if (box && stored.note) box.value = stored.note;
  }
  function activityId(row, kind) {
    // Sent again after a failure, an activity counts once: it keeps its id until it is on record.
    const stored = JSON.parse(sessionStorage.getItem(kept(row)) ?? "{}");
    if (stored.kind !== kind) {
      stored.kind = kind;
      stored.id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      sessionStorage.setItem(kept(row), JSON.stringify(stored));
    }
    return stored.id;
  }
  addEventListener("htmx:config:request", (event) => {
    const row = event.target.closest?.(".row"), ctx = event.detail.ctx;
    if (row && ctx?.request?.body?.get) ctx.request.body.set("activity_id", activityId(row, ctx.request.body.get("kind")));
  });
  addEventListener("htmx:before:request", (event) => {
    const row = event.target.closest?.(".row");
    if (!row) return;
    const body = event.detail.ctx.request.body, kind = body?.get?.("kind") ?? new URLSearchParams(body).get("kind");
    $$(".more[open]", row).forEach((each) => { each.open = false; });
    if (row.contains(document.activeElement)) acted = row.dataset.request;
    row.dataset.was = $(".status", row).textContent;
    row.dataset.kindDone = kind;
    row.classList.add("doing");
    if (DOING[kind]) write($(".status", row), DOING[kind]);
  });
  addEventListener("htmx:after:request", (event) => {
    const row = event.target.closest?.(".row"), ctx = event.detail.ctx;
    const status = ctx.response?.status;
    if (status === 401) return;
    if (!row) return void (status >= 400 && say(ctx.text.slice(0, 200)));
    row.classList.remove("doing");
    if (status === 200) {
      sessionStorage.removeItem(kept(row));
      if (row.dataset.kindDone === "contacted") say("Marked as contacted.", "Undo", () => undo(row.dataset.request));
    } else if (status >= 400 && status !== 409 && status !== 503) {
      write($(".status", row), row.dataset.was);
      complain(row, ctx.text.slice(0, 200));
    }
  });
  addEventListener("htmx:error", (event) => {
    const row = event.target.closest?.(".row");
    if (!row) return;
    row.classList.remove("doing");
    write($(".status", row), row.dataset.was);
    complain(row, "This could not be sent. Your note is kept: try again when you are back online.");
  });
  addEventListener("htmx:after:swap", () => {
    $$(".row").forEach(restore);
    if (document.activeElement === document.body && acted) find(acted)?.focus({ preventScroll: true });
    acted = "";
    tick();
    count();
  });
  function complain(row, text) {
    const said = $(".said", row);
    said.hidden = false;
    write(said, text);
  }
  async function undo(id) {
    const body = new URLSearchParams({ request_id: id, kind: "reopen", page: new URLSearchParams(document.body.dataset.live.split("?")[1]).get("page") ?? "queue" });
    const answer = await fetch("/act", { method: "POST", body, headers: { "HX-Request": "true" } }).catch(() => null);
    if (!answer) return say("This could not be sent.");
    const html = await answer.text(), row = find(id);
    if (row && (answer.ok || answer.status === 409)) replace(row, parse(html));
    else arrive(html);
  }

  // -- snooze: on this screen alone
  const snoozed = () => JSON.parse(localStorage.getItem("snoozed") ?? "{}");
  function aside(row) {
    if (row.classList.contains("lead") && row.closest(".list")) row.hidden = (snoozed()[row.dataset.request] ?? 0) > Date.now();
  }
  function snooze(row) {
    if (!row.classList.contains("lead")) return say("A raised hand cannot be snoozed: claim it, or decline it.");
    const id = row.dataset.request, until = Date.now() + 30 * MINUTE;
    const others = Object.entries(snoozed()).filter(([, at]) => at > Date.now());
    localStorage.setItem("snoozed", JSON.stringify({ ...Object.fromEntries(others), [id]: until }));
    move(1);
    aside(row);
    say(`Out of sight until ${clock(until)}; its deadline goes on.`, "Undo", () => {
      const all = snoozed();
      delete all[id];
      localStorage.setItem("snoozed", JSON.stringify(all));
      aside(row);
      row.focus();
    });
  }

  // -- keys
  function move(step) {
    const rows = $$(".list:not(details:not([open])) .row").filter((row) => !row.hidden);
    const at = rows.indexOf(document.activeElement?.closest(".row"));
    const row = rows[at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1)];
    row?.focus();
    row?.scrollIntoView({ block: "nearest" });
  }
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      $$("details.more[open], details.menu[open]").forEach((each) => { each.open = false; });
      return document.activeElement?.blur();
    }
    if (event.target.closest?.("input, textarea, select, dialog")) return;
    const row = document.activeElement?.closest(".row");
    const press = (kind) => $(`button[name="kind"][value="${kind}"]`, row)?.click();
    const acts = {
      j: () => move(1), k: () => move(-1), "/": () => ($("#search")?.offsetParent ? $("#search").focus() : location.assign("/search")), "?": () => $("#keys")?.showModal(),
      ...(row && { c: () => press("accept"), a: () => press("attempted"), d: () => press("contacted"), s: () => snooze(row) }),
      ...(row && row === document.activeElement && { Enter: () => $("a.who", row)?.click() }),
    };
    if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
  });
  addEventListener("click", (event) => {
    const target = event.target;
    $$("details.more[open], details.menu[open]").forEach((each) => { if (!each.contains(target)) each.open = false; });
    if (target.matches("button.new")) {
      for (const [id, row] of waiting) if (listOf(row) === target.closest(".list")) { waiting.delete(id); insert(row); }
      count();
    }
    if (target.closest("[data-opens]")) $(`#${target.closest("[data-opens]").dataset.opens}`).showModal();
    if (target.id === "theme") {
      const dark = (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
      document.documentElement.dataset.theme = dark ? "light" : "dark";
      document.cookie = `theme=${document.documentElement.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
    }
  });
  addEventListener("input", (event) => { if (event.target.matches(".row textarea")) keep(event.target.closest(".row")); });
  addEventListener("mouseover", exact);

  $$(".row").forEach((row) => { restore(row); aside(row); });
  setInterval(tick, 1000);
  setInterval(sweep, 1000);
  tick();
  count();
  if (document.body.dataset.live) listen();
})();
