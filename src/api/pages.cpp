#include "api/pages.h"

namespace millrace::api {

std::string console_page() {
  return R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Millrace</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}code{background:#eee}</style>
</head>
<body>
<h1>Millrace</h1>
<p>The order API runs here. These answer in JSON:</p>
<ul>
<li><a href="/api/analytics/stats">Totals</a>, <a href="/api/analytics/daily-sales">daily sales</a>,
<a href="/api/analytics/hourly-sales">hourly sales</a>, <a href="/api/analytics/order-status">orders by status</a>,
<a href="/api/analytics/health">health of the warehouse</a></li>
<li><a href="/api/products">Products</a>, <a href="/api/users">users</a>,
<a href="/api/orders/user/user-1">orders of user-1</a>, <a href="/api/inventory/prod-1">stock of prod-1</a></li>
<li><a href="/healthz">Is the process up?</a> <a href="/readyz">Is everything behind it reachable?</a></li>
</ul>
<p>A first order:</p>
<pre><code>curl -X POST http://localhost:3000/api/orders -H 'Content-Type: application/json' \
  -d '{"userId": "user-1", "items": [{"productId": "prod-2", "quantity": 1}]}'</code></pre>
</body>
</html>
)";
}

}  // namespace millrace::api
