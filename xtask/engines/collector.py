"""A collector of OpenTelemetry that decodes what it is sent by OpenTelemetry's own definitions.

collector.py FILE: listens on a free port of loopback, prints it, and writes a line of JSON for each span. It ends
with its standard input."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

spans = open(sys.argv[1], "w", encoding="utf-8")
writing = threading.Lock()


def plain(attributes):
    kinds = {"string_value", "int_value", "double_value", "bool_value"}
    value = lambda it: getattr(it, it.WhichOneof("value")) if it.WhichOneof("value") in kinds else None
    return {it.key: value(it.value) for it in attributes}


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        request = ExportTraceServiceRequest.FromString(body)
        with writing:
            for resource in request.resource_spans:
                node = plain(resource.resource.attributes)
                for span in (span for scope in resource.scope_spans for span in scope.spans):
                    spans.write(json.dumps({
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "name": span.name,
                        "kind": span.kind,
                        "began": span.start_time_unix_nano,
                        "ended": span.end_time_unix_nano,
                        "failed": span.status.code == 2,
                        "node": node["service.instance.id"],
                        "cluster": node["service.namespace"],
                        "about": plain(span.attributes),
                    }) + "\n")
            spans.flush()
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200 if self.path == "/v1/traces" else 404)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(server.server_address[1], flush=True)
server.serve_forever()
