"""An OTLP receiver over gRPC with TLS that wants a token, and says on stderr what it takes: one line of JSON a request.

otlp_receiver.py PORT CERTIFICATE KEY TOKEN
"""

import json
import sys
import threading
from concurrent import futures

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

port, certificate, key, token = sys.argv[1:]
lock = threading.Lock()


def take(signal, request, context):
    if dict(context.invocation_metadata()).get("authorization") != token:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
    with lock:
        print("told " + json.dumps({signal: MessageToDict(request)}), file=sys.stderr, flush=True)


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request, context):
        take("traces", request, context)
        return trace_service_pb2.ExportTraceServiceResponse()


class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def Export(self, request, context):
        take("metrics", request, context)
        return metrics_service_pb2.ExportMetricsServiceResponse()


def read(path):
    with open(path, "rb") as file:
        return file.read()


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), server)
metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)
proof = grpc.ssl_server_credentials([(read(key), read(certificate))])
server.add_secure_port(f"127.0.0.1:{port}", proof)
server.start()
print("receiver listens", file=sys.stderr, flush=True)
server.wait_for_termination()
