# The product, as it is installed from a wheel: `docker build -t svod .`, then see compose.yaml.
FROM python:3.11-slim AS wheel
COPY . /checkout
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel /checkout

FROM python:3.11-slim
COPY requirements.txt /tmp/
RUN pip install --no-cache-dir -r /tmp/requirements.txt && useradd --create-home --uid 1000 svod
COPY --from=wheel /wheel /tmp/wheel
RUN pip install --no-cache-dir --no-deps /tmp/wheel/*.whl && install -d -o svod -g svod -m 700 /data
USER svod
# The warehouse, its copies and what dbt compiles; `.env` is looked for here as well.
WORKDIR /data
VOLUME /data
ENV SVOD_WAREHOUSE=/data/svod.duckdb
ENTRYPOINT ["svod"]
CMD ["run"]
