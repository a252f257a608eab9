"""The gateway: the service that speaks gRPC. It validates, authorises, stores and submits."""
