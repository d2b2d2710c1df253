-- The request that wrk sends, from the environment, and its report, whose last line the benchmark reads.
wrk.method = os.getenv("BENCH_METHOD")
if wrk.method ~= "GET" then
  local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
  wrk.body = file:read("*a")
  file:close()
  wrk.headers["Content-Type"] = os.getenv("BENCH_KIND")
end
if os.getenv("BENCH_KEY") ~= "" then
  wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_KEY")
end
if os.getenv("BENCH_IDEMPOTENCY_KEY") ~= "" then
  wrk.headers["Idempotency-Key"] = os.getenv("BENCH_IDEMPOTENCY_KEY")
end

-- The number is written into the whole request: writing the head again each time would slow the load.
function init()
  local before, after = wrk.format():match("^(.-)" .. ("@"):rep(18) .. "(.*)$")
  if before then
    local begun, count = os.time(), 0
    function request()
      count = count + 1
      return string.format("%s%010d%08d%s", before, begun, count, after)
    end
  end
end

function done(summary, latency, _)
  local failed = summary.errors
  local errors = failed.connect + failed.read + failed.write + failed.timeout + failed.status
  local line = '\n{"requests": %d, "seconds": %f, "errors": %d, "p50_ms": %f, "p99_ms": %f}\n'
  local p50, p99 = latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  io.write(string.format(line, summary.requests, summary.duration / 1e6, errors, p50, p99))
end
