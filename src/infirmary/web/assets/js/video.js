// A video visit: a look at camera and microphone, the waiting room, the call. The server says who is in the room and passes
// on what the two browsers need to find each other (contexts/appointments/contract/video.py); pictures and sound go from
// browser to browser. Of the two, the doctor's browser always makes the offer, so that offers never cross.
import { announce } from "./toasts.js";

const KINDS = ["audio", "video"];
const GATHERED = 100; // ms in which candidates are collected into one message
const PATIENCE = 4_000; // ms with a broken connection before another way is looked for
const AGAIN = 2_000; // ms until what could not be reached is tried again
const TRIES = 5;
const DEVICES = { audioinput: "audio", videoinput: "video" };
const TROUBLES = { NotAllowedError: "refused", NotFoundError: "missing", OverconstrainedError: "missing" };

export function open() {
  const root = document.querySelector("[data-video]:not([data-begun])");
  if (root) new VideoVisit(root).begin();
}

class VideoVisit {
  own = null; // our camera and microphone, as far as there are any
  wanted = {}; // the device chosen of each kind
  off = { audio: false, video: false };
  client = ""; // our page, as the other knows it
  peer = null; // the other's page
  heard = new Set();
  turn = Promise.resolve(); // what was heard is dealt with in turn

  constructor(root) {
    this.root = root;
    this.base = root.dataset.base;
    this.doctor = root.dataset.side === "doctor";
    root.dataset.begun = "";
  }

  one = (selector) => this.root.querySelector(selector);
  all = (selector) => this.root.querySelectorAll(selector);
  on = (selector, kind, act) => this.all(selector).forEach((element) => element.addEventListener(kind, act));

  async begin() {
    this.on("[data-enter]", "click", () => this.enter());
    this.on("[data-again]", "click", () => this.look());
    this.on("[data-pick]", "change", ({ target }) => {
      this.wanted[DEVICES[target.dataset.pick]] = target.value;
      this.look();
    });
    this.on("[data-let-in]", "click", () => this.ask("let-in"));
    this.on("[data-leave]", "click", () => this.leave("left"));
    this.on("[data-come-back]", "click", () => this.look().then(() => this.enter()));
    this.on("[data-switch]", "click", ({ currentTarget }) => this.turnOff(currentTarget.dataset.switch));
    document.querySelector("[data-end]")?.addEventListener("click", () => this.ask("end"));
    addEventListener("pagehide", () => this.source && this.farewell());
    addEventListener("online", () => this.otherWay());

    const opensIn = Number(this.root.dataset.opensIn);
    if (opensIn) setTimeout(() => location.reload(), opensIn * 1000);
    const wasIn = sessionStorage.getItem(this.base); // before this page was loaded again: who was not seen is not seen now
    Object.assign(this.off, JSON.parse(wasIn));
    await this.look();
    if (wasIn && !opensIn) await this.enter();
  }

  // --- camera and microphone ---

  async look() {
    this.trouble("");
    if (!navigator.mediaDevices?.getUserMedia) return this.trouble("insecure");
    const wish = (kind) => (this.wanted[kind] ? { deviceId: { exact: this.wanted[kind] } } : true);
    const both = { audio: wish("audio"), video: wish("video") };
    let failed;
    this.own?.getTracks().forEach((track) => track.stop()); // phones open one camera at a time
    for (const asked of [both, { audio: both.audio }, { video: both.video }]) {
      try {
        this.take(await navigator.mediaDevices.getUserMedia(asked));
        break;
      } catch (error) {
        failed ??= error;
        if (error.name === "NotAllowedError") break; // asked once is enough
      }
    }
    if (failed) this.trouble(TROUBLES[failed.name] ?? "busy");
    await this.list();
  }

  take(stream) {
    this.own = stream;
    for (const kind of KINDS) if (this.track(kind)) this.track(kind).enabled = !this.off[kind];
    for (const video of this.all("[data-own]")) video.srcObject = stream;
    for (const { sender, receiver } of this.pc?.getTransceivers() ?? []) sender.replaceTrack(this.track(receiver.track.kind));
    this.listenToOurselves();
    this.draw();
  }

  track = (kind) => this.own?.getTracks().find((track) => track.kind === kind) ?? null;

  trouble(what) {
    for (const words of this.all("[data-trouble]")) words.hidden = words.dataset.trouble !== what;
  }

  async list() {
    const found = await navigator.mediaDevices.enumerateDevices();
    for (const select of this.all("[data-pick]")) {
      const used = this.track(DEVICES[select.dataset.pick])?.getSettings().deviceId;
      const there = found.filter(({ kind, label }) => kind === select.dataset.pick && label);
      select.replaceChildren(...there.map(({ label, deviceId }) => new Option(label, deviceId, false, deviceId === used)));
      select.parentElement.hidden = there.length < 2;
    }
    this.one("[data-devices]").hidden = !this.one(".in-field:not([hidden]) [data-pick]");
  }

  /** The level of the microphone, while it is looked at. */
  listenToOurselves() {
    this.stopListening();
    if (!this.track("audio") || this.root.dataset.state !== "check") return;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(this.own).connect(analyser);
    const wave = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(wave);
      this.one("[data-level]").value = Math.min(1, Math.sqrt(wave.reduce((sum, one) => sum + one * one, 0) / wave.length) * 5);
    }, 100);
    this.stopListening = () => {
      clearInterval(timer);
      context.close();
      this.stopListening = () => {};
    };
  }

  stopListening = () => {};

  turnOff(kind) {
    this.off[kind] = !this.off[kind];
    if (this.track(kind)) this.track(kind).enabled = !this.off[kind];
    this.remember();
    this.tell();
    this.draw();
  }

  remember() {
    sessionStorage.setItem(this.base, JSON.stringify(this.off));
  }

  // --- the room ---

  async enter() {
    this.client = crypto.randomUUID();
    if (await this.comeIn()) {
      this.remember();
      this.show("waiting");
      this.watch();
    }
  }

  async comeIn() {
    const room = await this.ask("enter", { client: this.client });
    if (room) this.servers = room.ice_servers.map(({ urls, username, credential }) => (username ? { urls, username, credential } : { urls }));
    return room;
  }

  watch() {
    this.source?.close();
    const source = this.source = new EventSource(`${this.base}/stream?client=${this.client}`);
    source.addEventListener("open", () => this.line());
    source.addEventListener("room", ({ data }) => this.goBy(JSON.parse(data)));
    source.addEventListener("signal", ({ data }) => this.hear(JSON.parse(data)));
    source.addEventListener("elsewhere", () => this.stop("elsewhere"));
    source.addEventListener("error", () => {
      this.line();
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      setTimeout(async () => {
        if (this.source !== source) return;
        if (!await this.comeIn()) return this.source === source && this.turnedAway && this.endRefused();
        if (this.source === source) this.watch();
      }, AGAIN);
    });
  }

  goBy(room) {
    this.room = room;
    const there = this.doctor ? room.patient_there : room.doctor_there;
    this.all("[data-there]").forEach((words) => (words.hidden = !there));
    this.all("[data-not-there]").forEach((words) => (words.hidden = there));
    this.all("[data-let-in]").forEach((button) => (button.disabled = !there));
    if (room.state === "over") return this.stop("over");
    this.show(room.state === "open" ? "call" : "waiting");
    if (room.peer !== this.peer && (room.peer || this.pc?.connectionState !== "connected")) { // else only their line to us is down
      this.peer = room.peer;
      this.hangUp();
      if (this.peer) this.connect();
    }
    this.line();
  }

  /** The call does not outlast the right to it; the page says why. */
  endRefused() {
    this.stop("left");
    this.one("[data-refused]").hidden = false;
  }

  leave(state) {
    this.farewell();
    this.stop(state);
  }

  farewell() {
    navigator.sendBeacon(`${this.base}/leave`, new URLSearchParams({ client: this.client, _csrf_token: csrf() }));
  }

  stop(state) {
    this.source?.close();
    this.source = this.peer = null;
    this.hangUp();
    this.own?.getTracks().forEach((track) => track.stop());
    sessionStorage.removeItem(this.base);
    document.getElementById("end")?.close();
    this.show(state);
  }

  // --- the call ---

  connect() {
    const pc = this.pc = new RTCPeerConnection({ iceServers: this.servers });
    const theirs = new MediaStream();
    this.early = []; // candidates that came before the description they belong to
    pc.addEventListener("track", ({ track }) => {
      theirs.addTrack(track);
      this.one("[data-other]").srcObject = theirs;
    });
    pc.addEventListener("icecandidate", ({ candidate }) => candidate && this.gather(pc, candidate));
    pc.addEventListener("connectionstatechange", () => this.stateOf(pc));
    this.channel = pc.createDataChannel("state", { negotiated: true, id: 0 });
    this.channel.addEventListener("open", () => this.tell());
    this.channel.addEventListener("message", ({ data }) => this.told(JSON.parse(data)));
    this.channel.addEventListener("close", () => pc === this.pc && this.goneBy(pc));
    if (!this.doctor) return;
    pc.addEventListener("negotiationneeded", () => this.describe(pc));
    for (const kind of KINDS) pc.addTransceiver(this.track(kind) ?? kind, { direction: "sendrecv" });
  }

  async describe(pc) {
    await pc.setLocalDescription();
    if (pc === this.pc) this.signal({ description: pc.localDescription });
  }

  gather(pc, candidate) {
    if (!this.gathered) {
      this.gathered = [];
      setTimeout(() => {
        const candidates = this.gathered;
        this.gathered = null;
        if (pc === this.pc) this.signal({ candidates });
      }, GATHERED);
    }
    this.gathered.push(candidate);
  }

  hear({ id, from, data }) {
    if (this.heard.has(id)) return; // sent again, because our line was down
    this.heard.add(id);
    this.turn = this.turn.then(() => from === this.peer && this.pc && this.dealWith(this.pc, JSON.parse(data)))
      .catch((error) => console.warn("video: a message could not be used", error.name));
  }

  async dealWith(pc, { description, candidates = [], again }) {
    if (again) pc.restartIce();
    if (description) {
      await pc.setRemoteDescription(description);
      if (description.type === "offer") {
        for (const transceiver of pc.getTransceivers()) {
          transceiver.direction = "sendrecv";
          await transceiver.sender.replaceTrack(this.track(transceiver.receiver.track.kind));
        }
        await this.describe(pc);
      }
      candidates = this.early.splice(0);
    }
    for (const candidate of candidates) {
      if (pc.remoteDescription) await pc.addIceCandidate(candidate);
      else this.early.push(candidate);
    }
  }

  stateOf(pc) {
    if (pc !== this.pc) return;
    clearTimeout(this.patience);
    if (pc.connectionState === "disconnected" || pc.connectionState === "failed") {
      if (this.room.peer !== this.peer) return this.goBy(this.room); // they are gone, and not only their line to us
      this.patience = setTimeout(() => this.otherWay(), pc.connectionState === "failed" ? 0 : PATIENCE);
    }
    this.line();
  }

  otherWay() {
    if (!this.pc || this.pc.connectionState === "connected") return;
    if (this.doctor) this.pc.restartIce();
    else this.signal({ again: true });
    this.patience = setTimeout(() => this.otherWay(), PATIENCE * 2);
  }

  goneBy() {
    this.hangUp();
    this.peer = null; // they come back with another page, or with this one when they are heard of again
    this.line();
  }

  hangUp() {
    clearTimeout(this.patience);
    this.pc?.close();
    this.pc = this.channel = null;
    this.one("[data-other]").srcObject = null;
    this.told({});
  }

  /** What the other cannot see from a black picture: that it is meant. */
  tell() {
    if (this.channel?.readyState === "open")
      this.channel.send(JSON.stringify({ muted: this.off.audio || !this.track("audio"), dark: this.off.video || !this.track("video") }));
  }

  told({ muted = false, dark = false }) {
    this.one("[data-other-muted]").hidden = !muted;
    this.one("[data-other-dark]").hidden = !dark;
  }

  // --- what is seen ---

  show(state) {
    if (this.root.dataset.state === state) return;
    this.root.dataset.state = state;
    for (const part of this.all("[data-when]")) part.hidden = part.dataset.when !== state;
    this.one("[data-refused]").hidden = true;
    this.stopListening();
    this.one(`[data-when="${state}"] h1`)?.focus();
    announce(this.one("[data-says]").dataset[state]);
  }

  draw() {
    for (const words of this.all("[data-dark]")) words.hidden = Boolean(this.track("video")) && !this.off.video;
    for (const button of this.all("[data-switch]")) {
      const off = this.off[button.dataset.switch];
      button.querySelector("[data-on]").hidden = off;
      button.querySelector("[data-off]").hidden = !off;
      button.disabled = !this.track(button.dataset.switch);
    }
  }

  /** One sentence over the picture about what is missing to the call. */
  line() {
    const words = this.one("[data-line]");
    const state = this.pc?.connectionState;
    const what = state === "connected" ? ""
      : this.source?.readyState !== EventSource.OPEN ? "lost"
      : !this.pc ? "away" : state === "disconnected" || state === "failed" ? "weak" : "connecting";
    words.hidden = !what;
    if (words.textContent === (words.dataset[what] ?? "")) return;
    words.textContent = words.dataset[what] ?? "";
    if (this.root.dataset.state === "call") announce(words.textContent);
  }

  // --- asking the server ---

  /** The answer, or null when it was refused: then the page says why. */
  async ask(what, fields = {}) {
    const answer = await this.post(what, fields);
    const told = await answer?.json().catch(() => null);
    const refused = this.one("[data-refused]");
    refused.hidden = Boolean(answer?.ok);
    this.turnedAway = answer?.status >= 400 && answer.status < 500;
    if (!answer?.ok) refused.querySelector("p").textContent = told?.detail ?? document.getElementById("toasts").dataset.offline;
    return answer?.ok ? told : null;
  }

  async signal(data) {
    const fields = { client: this.client, to: this.peer, data: JSON.stringify(data) };
    for (let tried = 0; tried < TRIES && fields.to === this.peer; tried++) {
      const answer = await this.post("signal", fields);
      if (answer && answer.status < 500) return;
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }

  post = (what, fields) => fetch(`${this.base}/${what}`, {
    method: "POST", headers: { "X-CSRF-Token": csrf() }, body: new URLSearchParams(fields) }).catch(() => null);
}

const csrf = () => document.querySelector('meta[name="csrf-token"]').content;
