# The app for one machine without a GPU: docs/deploy.md says how to build and to run it.
FROM python:3.11-slim AS build
# Where pip also looks, for torch without CUDA: see docs/deploy.md.
ARG PIP_EXTRA_INDEX_URL=""
COPY . /src
# Tests of packages, and what only those need who compile against torch, are an eighth of it all.
RUN python -m venv /app \
    && /app/bin/pip install --no-cache-dir -c /src/constraints.txt /src \
    && find /app -type d -name tests -prune -exec rm -r {} + \
    && rm -r /app/lib/python3.11/site-packages/torch/include \
        /app/lib/python3.11/site-packages/torch/test

FROM python:3.11-slim
COPY --from=build /app /app
RUN useradd --create-home --uid 1000 bhpvas
USER bhpvas
WORKDIR /home/bhpvas
ENV PATH=/app/bin:$PATH PORT=8501
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    python -c "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/_stcore/health', timeout=4)"
CMD ["sh", "-c", "exec bhpvas app --no-browser --address 0.0.0.0 --port $PORT"]
