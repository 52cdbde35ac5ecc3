# The page to try the model (mmleuk serve), on the CPU:
#   docker build -t mmleuk .
#   docker run --rm -p 127.0.0.1:8711:8711 mmleuk
# It prints an address with a token; open it as http://127.0.0.1:8711/?token=...
# Other commands: docs/review.md.
FROM python:3.11-slim-bookworm AS build
# mmcv is compiled with the first two; the other two load the desktop flavour of OpenCV that mmcv brings.
RUN apt-get update && apt-get install -y --no-install-recommends g++ make libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/mmleuk
COPY . .
# As make env does, without the tools of tests: torch without CUDA, mmcv, versions of constraints.txt. No data is loaded.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG MMCV_LINKS=
RUN sh tools/bootstrap.sh --venv /opt/venv --extras desk \
    && /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 \
    && rm -rf /var/lib/apt/lists/* && useradd --create-home mmleuk
COPY --from=build /opt/venv /opt/venv
USER mmleuk
WORKDIR /home/mmleuk
ENV PATH=/opt/venv/bin:$PATH OMP_NUM_THREADS=2 PYTHONUNBUFFERED=1
EXPOSE 8711
ENTRYPOINT ["mmleuk"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8711"]
