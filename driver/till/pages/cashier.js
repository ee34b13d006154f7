// The cashier's page: an amount, a payment, its outcome. Works by keyboard alone: digits, Backspace, Enter, Escape.

import { announce, button, h, icon, money, payment, problemLine, send, stage, start, text } from "/till.js";

let digits = "";
let now = null;

const amountMinor = () => Number(digits || "0");
const isOver = (screen) => OVER.includes(screen);
const OVER = ["approved", "accepted_offline", "declined", "not_recognised", "not_charged", "cancelled", "timed_out"];
const MAY_RETRY = OVER.filter((screen) => !["approved", "accepted_offline"].includes(screen));
const MAY_CANCEL = ["waiting_for_hand", "reading", "reader_lost", "authorising", "step_up", "checking"];

function type(key) {
  if (key === "clear") digits = "";
  else if (key === "back") digits = digits.slice(0, -1);
  else if ((digits + key).length <= 12) digits = (digits + key).replace(/^0+/, "");
  showAmount();
}

function showAmount() {
  const place = document.querySelector("[data-amount]");
  if (!place || !now) return;
  const { service } = now;
  place.textContent = money(amountMinor(), service.currency, service.minor_digits);
  const tooMuch = service.payment_max_minor > 0 && amountMinor() > service.payment_max_minor;
  place.classList.toggle("over", tooMuch);
  const may = service.state === "ready" || (now.offline && service.state === "connecting" && service.currency);
  document.querySelector("[data-charge]").disabled = !may || amountMinor() === 0 || tooMuch;
  const max = { amount: money(service.payment_max_minor, service.currency, service.minor_digits) };
  const note = service.state === "ready" ? text("cashier.max", max) : text(`service.${service.state}.do`);
  document.querySelector("[data-note]").textContent = [note, ...offlineNotes(now)].join(" ");
}

// What was taken without the service, and what of it was lost.
function offlineNotes({ offline, service }) {
  if (!offline) return [];
  const amount = (minor) => money(minor, service.currency, service.minor_digits);
  const note = (key, n, minor) => n > 0 && text(key, { n, amount: amount(minor) });
  return [note("cashier.offline.waiting", offline.waiting, offline.waiting_minor),
    note("cashier.offline.declined", offline.declined, offline.declined_minor)].filter(Boolean);
}

async function charge() {
  if (await send({ command: "charge", amount_minor: amountMinor() })) digits = "";
}

const cancel = () => send({ command: "cancel" });
const again = () => send({ command: "retry" });
const fresh = () => send({ command: "new" });

// What a payment waits for: the customer types digits here, or the cashier says that it is no duplicate.
function asked(checkout) {
  if (checkout.reason === "LIKELY_DUPLICATE") {
    const go = button("cashier.not_a_duplicate", () => send({ command: "not_a_duplicate" }), "primary");
    return [go];
  }
  const field = h("input", {
    type: "password", id: "factor", inputmode: "numeric", autocomplete: "off", maxlength: 12, "data-focus": true,
  });
  const give = (command, key) => (event) => {
    event.preventDefault();
    const given = field.value;
    field.value = "";
    send({ command, [key]: given });
  };
  return [h("form", { class: "factor", onsubmit: give("give_pin", "pin") },
    h("label", { for: "factor" }, text("cashier.factor")), field,
    h("div", { class: "actions" },
      h("button", { type: "submit", class: "button primary" }, text("cashier.give_pin")),
      button("cashier.give_phone_digits", give("give_phone_digits", "digits"))))];
}

function keypad() {
  const key = (label, value, name) =>
    h("button", { type: "button", class: "key", "aria-label": name, onclick: () => type(value) }, label);
  return h("div", { class: "keypad", role: "group", "aria-label": text("cashier.keypad") },
    ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => key(String(n), String(n))),
    key("C", "clear", text("cashier.clear")), key("0", "0"), key("⌫", "back", text("cashier.back")));
}

function entry() {
  stage("entry", () => [
    h("section", { class: "card entry" },
      h("h1", { class: "label" }, text("cashier.amount")),
      h("output", { class: "amount", "data-amount": true, "aria-live": "polite" }),
      h("p", { class: "quiet", "data-note": true }),
      keypad(),
      problemLine(),
      h("button", { type: "button", class: "button primary wide", "data-charge": true, onclick: charge },
        icon("palm"), text("cashier.charge"))),
  ]);
  showAmount();
  announce("");
}

function enrolling() {
  stage("enrolling", () => [
    h("section", { class: "card calm" },
      h("div", { class: "badge" }, icon("person")),
      h("h1", {}, text("cashier.enrolling")),
      h("p", { class: "line" }, text("cashier.enrolling.do")),
      problemLine(),
      h("div", { class: "actions" }, button("cashier.enrolling.stop", cancel))),
  ]);
  announce(text("cashier.enrolling"));
}

const ENROLLING = ["consent", "name", "capturing", "offer", "sending"];

start((snapshot) => {
  now = snapshot;
  const { screen } = snapshot.checkout;
  if (ENROLLING.includes(snapshot.enrolment.screen)) return enrolling();
  if (screen === "idle") return entry();
  const actions = [];
  if (isOver(screen)) {
    const first = button("cashier.new", fresh, MAY_RETRY.includes(screen) ? "" : "primary");
    if (MAY_RETRY.includes(screen)) actions.push(button("cashier.retry", again, "primary"));
    actions.push(first);
    actions[0].setAttribute("data-focus", "");
  } else if (MAY_CANCEL.includes(screen) && !snapshot.checkout.cancel_asked) {
    if (screen === "step_up") actions.push(...asked(snapshot.checkout));
    actions.push(button("cashier.cancel", cancel));
  }
  payment(snapshot, actions, false);
  const { timings } = snapshot.checkout;
  const card = document.querySelector(".card");
  if (timings?.total_ms && !card.querySelector(".time")) {
    card.append(h("p", { class: "quiet time" }, text("pay.time", { ms: Math.round(timings.total_ms) })));
  }
});

document.addEventListener("keydown", (event) => {
  if (!now || event.ctrlKey || event.metaKey || event.altKey) return;
  const { screen } = now.checkout;
  const onButton = event.target instanceof HTMLButtonElement;
  if (screen === "idle" && /^\d$/.test(event.key)) type(event.key);
  else if (screen === "idle" && event.key === "Backspace") type("back");
  else if (screen === "idle" && event.key === "Enter" && !onButton && amountMinor() > 0) charge();
  else if (event.key === "Escape" && MAY_CANCEL.includes(screen)) cancel();
  else if (event.key === "Escape" && isOver(screen)) fresh();
  else return;
  event.preventDefault();
});
