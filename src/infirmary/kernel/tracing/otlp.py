"""Spans by OpenTelemetry's SDK, sent to a collector over OTLP/HTTP."""
from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from infirmary.kernel import request

log = structlog.get_logger()
SENT_WITHIN, ENDS_WITHIN = 3.0, 2.0   # seconds for one batch, and for all that is left at the end
STATUS, ERROR = "http.response.status_code", "error.type"
_w3c = TraceContextTextMapPropagator()


class Exporter(OTLPSpanExporter):
    """Says itself that the collector is away; the library says it with addresses, in text, and at every try."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        sent = super().export(spans)
        if sent is not SpanExportResult.SUCCESS:
            log.warning("spans_lost", count=len(spans))
        return sent


class Spans:
    """What `set_up` switches on."""

    def __init__(self, collector: str, service: str, share: float) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        # Its own hook for the end of the process would wait for a collector that is away.
        self._provider = TracerProvider(ParentBased(TraceIdRatioBased(share)), Resource.create({SERVICE_NAME: service}),
                                        shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(Exporter(f"{collector}/v1/traces", timeout=SENT_WITHIN)))
        self._tracer = self._provider.get_tracer("infirmary")

    def end(self) -> None:
        ending = threading.Thread(target=self._provider.shutdown, name="spans-end", daemon=True)
        ending.start()
        ending.join(ENDS_WITHIN)

    def answering(self, parent: str | None) -> AbstractContextManager[Span]:
        return self._begun("request", SpanKind.SERVER, _context(parent), end=False)

    def asking(self, name: str) -> AbstractContextManager[Span]:
        return self._begun(name, SpanKind.CLIENT, None)

    def reacting(self, name: str, parent: str | None) -> AbstractContextManager[Span]:
        return self._begun(name, SpanKind.CONSUMER, _context(parent))

    @contextmanager
    def _begun(self, name: str, kind: SpanKind, context: Context | None, *, end: bool = True) -> Iterator[Span]:
        asked = {"request_id": request_id} if (request_id := request.current.get().id) else None
        # Neither the text of an error nor its traceback: both hold values.
        with self._tracer.start_as_current_span(name, context, kind, asked, record_exception=False,
                                                set_status_on_exception=False, end_on_exit=end) as span:
            try:
                yield span
            except Exception as error:
                self.failed(error)
                raise

    def answered(self, span: Span, status: int) -> None:
        span.set_attribute(STATUS, status)
        if status >= 500:
            span.set_status(StatusCode.ERROR)

    def failed(self, error: BaseException) -> None:
        span = get_current_span()
        span.set_attribute(ERROR, type(error).__name__)
        span.set_status(StatusCode.ERROR)

    def traceparent(self) -> str | None:
        carrier = dict[str, str]()
        _w3c.inject(carrier)
        return carrier.get("traceparent")


def _context(parent: str | None) -> Context:
    """Of somebody else's span. What cannot be read, like what is not there, is a beginning."""
    return _w3c.extract({"traceparent": parent} if parent else {}, Context())
