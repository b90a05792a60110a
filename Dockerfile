# The emulator and nothing else: one static binary, built outside by `just image`.
#
# There is no builder stage, so the image needs no other image: `docker build` works without a registry.
FROM scratch

ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="taskhub" \
      org.opencontainers.image.description="An emulator of the Durable Task Scheduler, for development and tests; not affiliated with Microsoft" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

# BINARY is the path inside the build context, which is the folder that holds nothing but the binary.
ARG BINARY=taskhub
COPY ${BINARY} /taskhub

# Nobody in particular, and certainly not root.
USER 65532:65532

# gRPC, health, dashboard (nothing is served there yet).
EXPOSE 8080 8081 8082

# Everything else is as on any machine: DTS_TASK_HUB_NAMES, DTS_USE_DYNAMIC_TASK_HUBS and the other variables.
ENV DTS_EMULATOR_HOST=0.0.0.0

STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=2s --retries=3 CMD ["/taskhub", "healthcheck"]

ENTRYPOINT ["/taskhub"]
CMD ["emulator"]
