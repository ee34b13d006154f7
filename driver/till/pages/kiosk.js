// The kiosk's page: enrolment, and the customer's side of a payment at the same till.

import {
  announce, button, currentLanguage, h, hint, icon, payment, problemLine, send, speak, stage, start, text,
} from "/till.js";

const STEPS = { consent: 1, name: 2, capturing: 3, offer: 3, sending: 4 };
let enrolling = false;

const cancel = () => send({ command: "cancel" });
const home = () => send({ command: "new" });
const stay = () => send({ command: "enrol_stay" });

function card(tone, ...children) {
  return h("section", { class: `card ${tone}` }, ...children);
}

function step(screen) {
  const n = STEPS[screen];
  return h("p", { class: "step" }, text("kiosk.step", { n, all: 4 }));
}

function focused(element) {
  element.setAttribute("data-focus", "");
  return element;
}

function welcome({ service }) {
  const ready = service.state === "ready";
  stage(`welcome ${service.state}`, () => [
    card("ask",
      h("div", { class: "badge" }, icon("palm")),
      h("h1", {}, text("kiosk.welcome")),
      h("p", { class: "line" }, text("kiosk.welcome.do")),
      !ready && h("p", { class: "hint" }, icon("clock"), h("span", {}, text("kiosk.wait"))),
      problemLine(),
      h("div", { class: "actions" }, h("button", {
        type: "button", class: "button primary", disabled: !ready,
        onclick: () => send({ command: "enrol_start", language: currentLanguage() }),
      }, text("kiosk.start")))),
  ]);
  announce("");
}

// No button has the focus here: agreeing is an act of its own, never what Enter happens to do.
function consent() {
  const agree = () => send({ command: "enrol_consent", notice_version: text("notice.version") });
  stage("consent", () => [
    card("plain",
      step("consent"),
      h("h1", {}, text("kiosk.consent")),
      h("ul", { class: "notice" }, ...[1, 2, 3, 4].map((n) => h("li", {}, text(`notice.${n}`)))),
      problemLine(),
      h("div", { class: "actions" }, button("kiosk.agree", agree, "primary"), button("kiosk.leave", cancel))),
  ]);
  announce(text("kiosk.consent"));
}

function name() {
  const submit = (event) => {
    event.preventDefault();
    send({ command: "enrol_name", display_name: event.target.elements.name.value });
  };
  stage("name", () => [
    card("plain",
      step("name"),
      h("h1", {}, h("label", { for: "name" }, text("kiosk.name"))),
      h("p", { class: "line", id: "name-note" }, text("kiosk.name.do")),
      h("form", { onsubmit: submit },
        focused(h("input", {
          id: "name", name: "name", maxlength: 64, required: true, autocomplete: "off", spellcheck: "false",
          "aria-describedby": "name-note",
        })),
        problemLine(),
        h("div", { class: "actions" },
          h("button", { type: "submit", class: "button primary" }, text("kiosk.next")),
          button("kiosk.cancel", cancel)))),
  ]);
  announce("");
}

function capturing({ enrolment }) {
  const { hand, second, taken, needed, reading, reader_lost: lost } = enrolment;
  const headline = lost ? text("pay.reader_lost") : text(`kiosk.capture.${hand ?? "any"}`);
  const count = text("kiosk.count", { taken, needed });
  stage(`capturing ${second} ${hand} ${lost}`, () => [
    card(lost ? "warn" : "ask",
      step("capturing"),
      h("div", { class: `badge ${hand === "left" ? "mirrored" : ""}` }, icon(lost ? "plug" : "palm")),
      h("h1", {}, headline),
      lost && h("p", { class: "line" }, text("pay.reader_lost.do")),
      h("div", { class: "dots", role: "img", "data-dots": true }),
      h("p", { class: "quiet", "data-count": true }),
      h("div", { "data-hint": true }),
      problemLine(),
      h("div", { class: "actions" }, button("kiosk.cancel", cancel))),
  ]);
  const dots = document.querySelector("[data-dots]");
  dots.setAttribute("aria-label", count);
  dots.replaceChildren(...Array.from({ length: needed }, (_, n) =>
    h("span", { class: n < taken ? "dot full" : "dot" }, n < taken ? icon("check") : "")));
  document.querySelector("[data-count]").textContent = count;
  const line = reading
    ? h("p", { class: "hint busy" }, icon("still"), h("span", {}, text("kiosk.reading")))
    : hint(enrolment.hint);
  document.querySelector("[data-hint]").replaceChildren(line);
  announce(`${enrolment.hint ? text(`hint.${enrolment.hint}`) : headline}. ${count}`);
}

function offer() {
  const finish = () => send({ command: "enrol_finish" });
  const other = () => send({ command: "enrol_other_hand" });
  stage("offer", () => [
    card("good",
      step("offer"),
      h("div", { class: "badge" }, icon("check")),
      h("h1", {}, text("kiosk.offer")),
      h("p", { class: "line" }, text("kiosk.offer.do")),
      problemLine(),
      h("div", { class: "actions" },
        focused(button("kiosk.finish", finish, "primary")), button("kiosk.other", other),
        button("kiosk.cancel", cancel, "ghost"))),
  ]);
  announce(text("kiosk.offer"));
}

function sending() {
  stage("sending", () => [
    card("busy", step("sending"), h("div", { class: "badge" }, icon("clock")), h("h1", {}, text("kiosk.sending"))),
  ]);
  announce(text("kiosk.sending"));
}

function over({ enrolment }) {
  const { screen, palms, reason } = enrolment;
  const done = screen === "done";
  const line = done ? text("kiosk.done.do", { n: palms }) : reason ? text(`reason.${reason}`) : text("kiosk.failed.do");
  const again = () => send({ command: "retry" });
  stage(`over ${screen} ${reason}`, () => [
    card(done ? "good" : "bad",
      h("div", { class: "badge" }, icon(done ? "check" : "cross")),
      h("h1", {}, text(`kiosk.${screen}`)),
      h("p", { class: "line" }, line),
      problemLine(),
      h("div", { class: "actions" },
        !done && button("kiosk.again", again, "primary"), focused(button("kiosk.home", home, done ? "primary" : "")))),
  ]);
  announce(`${text(`kiosk.${screen}`)}. ${line}`);
}

// Said every five seconds, not every second: a screen reader must still be understood.
function countdown({ enrolment }) {
  const { seconds_left: n, screen } = enrolment;
  const due = n != null && STEPS[screen] != null;
  let banner = document.querySelector("[data-idle]");
  if (!due) return banner?.remove();
  if (!banner) {
    banner = h("div", { class: "banner", role: "alert", "data-idle": true }, h("span"), button("kiosk.stay", stay));
    document.querySelector(".bar").after(banner);
  } else if (n % 5 !== 0) return;
  banner.firstChild.textContent = text("kiosk.idle", { n });
}

const SCREENS = { consent, name, capturing, offer, sending, done: over, refused: over, failed: over };

start((snapshot) => {
  const { enrolment, checkout } = snapshot;
  countdown(snapshot);
  const busy = enrolment.screen !== "idle";
  // A reload in the middle goes on in the language that was chosen.
  if (busy && !enrolling && enrolment.language) speak(enrolment.language);
  enrolling = busy;
  if (busy) return SCREENS[enrolment.screen](snapshot);
  if (checkout.screen !== "idle") {
    const asking = ["waiting_for_hand", "reading"].includes(checkout.screen);
    return payment(snapshot, asking ? [button("kiosk.cancel", cancel)] : [], true);
  }
  welcome(snapshot);
});
