// A stream of server-sent events that lives as long as somebody looks at the page.
const AWAY = 30_000; // a browser opens few streams to one host: a page nobody looks at gives its own back

/** `heard` maps names of events to what hears them; `again` is called when some may have been missed. Answers how to end it. */
export function listen(url, heard, again) {
  let source = null;
  let wait = 1_000;
  let missed = false;
  let leaving;
  const closing = new AbortController();

  function close() {
    source?.close();
    source = null;
  }

  function open() {
    if (source || document.hidden || closing.signal.aborted) return;
    source = new EventSource(url);
    source.addEventListener("open", () => {
      wait = 1_000;
      if (missed) again();
      missed = false;
    });
    for (const [name, hears] of Object.entries(heard)) source.addEventListener(name, ({ data }) => hears(data));
    source.addEventListener("error", () => {
      missed = true;
      if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      close();
      setTimeout(open, wait);
      wait = Math.min(wait * 2, 60_000);
    });
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(leaving);
    if (!document.hidden) open();
    else leaving = setTimeout(() => { close(); missed = true; }, AWAY);
  }, closing);
  addEventListener("pagehide", close, closing);
  addEventListener("pageshow", open, closing);
  open();
  return () => { closing.abort(); close(); };
}
