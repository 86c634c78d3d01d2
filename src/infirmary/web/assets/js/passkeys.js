// form[data-passkey]: sent with what the browser's passkey answers, in its [data-credential]. "use": data-options is where to
// ask for the question; "make": it is the question. Shown where the browser can, and the address is the one passkeys are
// made for (data-host). data-offer: offered in the list of the e-mail field, too, before anybody presses a button.
import { toast } from "./toasts.js";

const able = (host) => window.PublicKeyCredential?.parseRequestOptionsFromJSON
  && (location.hostname === host || location.hostname.endsWith(`.${host}`));
let offering = new AbortController();

async function question(form) {
  if (form.dataset.passkey === "make") return JSON.parse(form.dataset.options);
  const answer = await fetch(form.dataset.options);
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.json();
}

async function answered(form, asked, more) {
  const credential = form.dataset.passkey === "make"
    ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) })
    : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked), ...more });
  form.querySelector("[data-credential]").value = JSON.stringify(credential);
  form.submit(); // not requestSubmit: it is past the question below
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-passkey]")) return;
  event.preventDefault();
  offering.abort(); // a browser asks one thing at a time
  const button = event.submitter;
  button?.setAttribute("aria-busy", "true");
  try {
    await answered(form, await question(form));
  } catch (why) {
    button?.removeAttribute("aria-busy");
    toast({ text: why.name === "InvalidStateError" ? form.dataset.there : form.dataset.left, failed: true });
  }
});

async function offer(form) {
  if (!await PublicKeyCredential.isConditionalMediationAvailable?.()) return;
  offering = new AbortController();
  const { signal } = offering;
  try {
    const asked = await question(form);
    setTimeout(() => !signal.aborted && (offering.abort(), offer(form)), asked.timeout); // it is too old then
    await answered(form, asked, { mediation: "conditional", signal });
  } catch {
    // left alone: the button is there
  }
}

for (const form of document.querySelectorAll("[data-passkey]")) {
  if (!able(form.dataset.host)) continue;
  form.hidden = false;
  for (const not of document.querySelectorAll("[data-passkey-not]")) not.hidden = true;
  if ("offer" in form.dataset) offer(form);
}
