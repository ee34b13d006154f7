// What both pages share: words, money, elements, the event stream, commands. Pages decide nothing.

const LANGUAGES = ["ko", "en"];
const messages = await (await fetch("/messages.json")).json();

let language = preferred();
let latest = null;
let draw = () => {};

function preferred() {
  const asked = new URLSearchParams(location.search).get("lang");
  const wanted = [asked, sessionStorage.getItem("language"), ...navigator.languages];
  return wanted.map((tag) => tag?.slice(0, 2)).find((tag) => LANGUAGES.includes(tag)) ?? "ko";
}

export function currentLanguage() {
  return language;
}

export function speak(tag) {
  if (!LANGUAGES.includes(tag) || tag === language) return;
  language = tag;
  sessionStorage.setItem("language", tag);
  redraw();
}

// The words of a key, with {names} filled in; an unknown key shows itself rather than nothing.
export function text(key, values = {}) {
  const words = messages[language][key] ?? key;
  return words.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function knows(key) {
  return key in messages[language];
}

// Minor units, written as the currency is; KRW has no decimals.
export function money(minor, currency, digits) {
  if (!currency) return String(minor);
  const value = minor / 10 ** digits;
  const fraction = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(language, { style: "currency", currency, ...fraction }).format(value);
}

// h("button", {class: "primary", onclick}, "words"): an element. Text is set as text, never as markup.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

const PATHS = {
  palm: "M21 35V20m8 13V14m8 19V15m8 20V22M45 33v6c0 9-6 14-13 14-6 0-9-3-12-8l-7-11c3-3 6-1 8 3",
  check: "M14 34l12 12 24-28",
  cross: "M18 18l28 28M46 18L18 46",
  closer: "M32 12v32M20 32l12 12 12-12M16 54h32",
  further: "M32 46V14M20 26l12-12 12 12M16 54h32",
  centre: "M32 8v12m0 24v12M8 32h12m24 0h12M32 24a8 8 0 100 16 8 8 0 000-16",
  still: "M24 16v32m16-32v32",
  turn: "M50 26A20 20 0 1052 36M52 12v14H38",
  spread: "M8 32h20M8 32l8-8m-8 8l8 8M56 32H36m20 0l-8-8m8 8l-8 8",
  light: "M32 22a10 10 0 100 20 10 10 0 000-20M32 8v6m0 36v6M8 32h6m36 0h6M15 15l4 4m26 26l4 4m0-34l-4 4M19 45l-4 4",
  question: "M23 24c0-12 18-12 18 0 0 8-9 7-9 15M32 50v1",
  clock: "M32 10a22 22 0 100 44 22 22 0 000-44M32 20v13l9 6",
  plug: "M24 10v12m16-12v12M18 22h28v8c0 8-6 14-14 14s-14-6-14-14zM32 44v12",
  stop: "M32 10a22 22 0 100 44 22 22 0 000-44M22 22l20 20",
  lock: "M20 30v-8a12 12 0 0124 0v8M14 30h36v24H14z",
  person: "M32 12a10 10 0 100 20 10 10 0 000-20M12 54c2-12 10-16 20-16s18 4 20 16",
};

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 64 64");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", PATHS[name] ?? PATHS.palm);
  svg.append(path);
  return svg;
}

const HINT_ICONS = {
  move_closer: "closer", too_far: "closer", too_dark: "light", too_bright: "light",
  move_further: "further", too_close: "further", lift_hand: "further",
  centre_hand: "centre", off_centre: "centre", hold_still: "still", blurred: "still",
  flatten_hand: "turn", tilted: "turn", back_of_hand: "turn", other_hand: "turn", same_hand: "turn",
  spread_fingers: "spread",
};

// One thing to do: word, icon and colour together.
export function hint(id) {
  const line = h("p", { class: "hint" });
  if (id) line.append(icon(HINT_ICONS[id] ?? "palm"), h("span", {}, text(`hint.${id}`)));
  return line;
}

export function button(key, action, kind = "") {
  return h("button", { type: "button", class: `button ${kind}`, onclick: action }, text(key));
}

const PROBLEM = "[data-problem]";

// Sends a command; what is wrong is said on the screen.
export async function send(body, path = "/commands") {
  let problem = "";
  try {
    const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const response = await fetch(path, options);
    if (!response.ok) {
      const { error, remedy } = await response.json();
      problem = knows(`error.${error}`) && path === "/commands" ? text(`error.${error}`) : remedy;
    }
  } catch {
    problem = text("error.UNAVAILABLE");
  }
  const place = document.querySelector(PROBLEM);
  if (place) place.textContent = problem;
  return problem === "";
}

export function problemLine() {
  return h("p", { class: "problem", role: "alert", "data-problem": true });
}

// Says a change to a screen reader, once.
export function announce(words) {
  const live = document.querySelector("[data-live]");
  if (live.textContent !== words) live.textContent = words;
}

// Replaces the stage when `key` changes, so that focus and what is typed stay while a screen stays.
let shown = null;
export function stage(key, build) {
  key = `${language} ${key}`;
  if (shown === key) return false;
  shown = key;
  const place = document.querySelector("[data-stage]");
  place.replaceChildren(...build());
  const focus = place.querySelector("[data-focus]");
  (focus ?? place).focus({ preventScroll: true });
  return true;
}

function chip(selector, state, words) {
  const place = document.querySelector(selector);
  place.className = `chip ${state}`;
  if (place.textContent !== words) place.textContent = words;
}

function redraw() {
  document.documentElement.lang = language;
  for (const place of document.querySelectorAll("[data-text]")) place.textContent = text(place.dataset.text);
  const languages = document.querySelector("[data-languages]");
  languages.replaceChildren(...LANGUAGES.map((tag) => h("button", {
    type: "button", class: "language", lang: tag, "aria-pressed": String(tag === language), onclick: () => speak(tag),
  }, messages[tag]["language.name"])));
  emulator(latest?.reader.emulated);
  if (latest) show(latest);
}

function show(snapshot) {
  const { service, reader } = snapshot;
  document.querySelector("[data-shop]").textContent = service.shop_name || "OpenPalm";
  const good = { ready: "good", connecting: "waiting", refused: "bad", absent: "bad", faulty: "bad" };
  chip("[data-service]", good[service.state], text(`service.${service.state}`));
  const words = reader.problem ? `${text("reader.problem")}: ${reader.problem}` : text(`reader.${reader.state}`);
  chip("[data-reader]", reader.problem ? "bad" : good[reader.state], words);
  draw(snapshot);
}

let person = 1;
function emulator(present) {
  const place = document.querySelector("[data-emulator]");
  place.hidden = !present;
  if (!present) return;
  const line = (words) => send({ line: words }, "/emulator");
  // Lifted first, as a person would: a hand that lies there does not pay twice.
  const palm = (number) => async () => {
    person = number;
    if (await line("LIFT")) await line(`PALM ${number}${left.checked ? " L" : ""}`);
  };
  const left = h("input", { type: "checkbox", id: "left" });
  const small = (words, action, label) =>
    h("button", { type: "button", class: "small", onclick: action, "aria-label": label }, words);
  place.replaceChildren(
    h("h2", {}, text("emulator.title")),
    h("p", {}, text("emulator.about")),
    h("div", { class: "row" },
      ...[1, 2, 3, 4, 5].map((n) => small(String(n), palm(n), text("emulator.person", { n })))),
    h("label", { for: "left" }, left, " ", text("emulator.left")),
    h("div", { class: "row" },
      small(text("emulator.stranger"), palm(900 + Math.floor(Math.random() * 90))),
      small(text("emulator.lift"), () => line("LIFT"))),
    h("div", { class: "row" },
      small(text("emulator.unplug"), () => line("UNPLUG")), small(text("emulator.plug"), () => line("PLUG"))),
  );
}

// Draws every snapshot with `render`. Each replaces the last, so a reload resumes.
export function start(render) {
  draw = render;
  redraw();
  const offline = document.querySelector("[data-offline]");
  const stream = new EventSource("/events");
  stream.onmessage = ({ data }) => {
    const snapshot = JSON.parse(data);
    if (!snapshot.version) return;
    offline.hidden = true;
    const first = latest?.reader.emulated !== snapshot.reader.emulated;
    latest = snapshot;
    if (first) emulator(snapshot.reader.emulated);
    show(snapshot);
  };
  stream.onerror = () => {
    offline.textContent = text("page.offline");
    offline.hidden = false;
  };
}

// The payment as customer and cashier see it: one headline, one thing to do, in one colour.
const LOOKS = {
  waiting_for_hand: ["palm", "ask"], reading: ["palm", "busy"], authorising: ["clock", "busy"],
  step_up: ["lock", "ask"], checking: ["question", "warn"], approved: ["check", "good"],
  accepted_offline: ["check", "warn"], declined: ["cross", "bad"],
  not_recognised: ["question", "bad"], not_charged: ["cross", "bad"], cancelled: ["stop", "calm"],
  timed_out: ["clock", "calm"], reader_lost: ["plug", "warn"],
};

// What is left in the wallet is the customer's own affair: only their screen shows it.
export function payment(snapshot, extra, isCustomers) {
  const { checkout, service } = snapshot;
  const [picture, tone] = LOOKS[checkout.screen];
  const amount = (minor) => money(minor, checkout.currency, service.minor_digits);
  const asking = ["waiting_for_hand", "reading"].includes(checkout.screen);
  const headline = text(`pay.${checkout.screen}`);
  const lines = [];
  if (checkout.reason) lines.push(text(`reason.${checkout.reason}`));
  if (knows(`pay.${checkout.screen}.do`)) lines.push(text(`pay.${checkout.screen}.do`));
  if (checkout.cancel_asked) lines.push(text("pay.cancel_asked"));
  const who = checkout.masked_name && h("p", { class: "who" }, checkout.masked_name);
  const left = isCustomers && checkout.balance_minor != null &&
    h("p", { class: "balance" }, text("pay.balance", { amount: amount(checkout.balance_minor) }));
  const { screen, reason } = checkout;
  const key = ["pay", screen, reason, checkout.payment, checkout.cancel_asked, checkout.balance_minor].join(" ");
  const fresh = stage(key, () => [
    h("section", { class: `card ${tone}` },
      h("p", { class: "amount" }, amount(checkout.amount_minor)),
      h("div", { class: "badge" }, icon(picture)),
      h("h1", {}, headline),
      who, left,
      ...lines.map((words) => h("p", { class: "line" }, words)),
      asking && h("div", { "data-hint": true }),
      asking && h("p", { class: "quiet", "data-left": true }),
      problemLine(),
      extra.length > 0 && h("div", { class: "actions" }, ...extra)),
  ]);
  if (asking) {
    document.querySelector("[data-hint]").replaceChildren(hint(checkout.hint));
    const seconds = checkout.seconds_left;
    document.querySelector("[data-left]").textContent = seconds == null ? "" : text("pay.seconds", { n: seconds });
  }
  const said = checkout.hint ? text(`hint.${checkout.hint}`) : [headline, ...lines].join(". ");
  announce(`${amount(checkout.amount_minor)}. ${said}`);
  return fresh;
}
