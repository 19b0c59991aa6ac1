#include "api/routes.h"

#include <array>

#include "api/handlers.h"

namespace millrace::api {
namespace {

constexpr std::size_t kAdminThreads = 1;
constexpr std::size_t kAdminQueueMax = 32;
constexpr std::size_t kLogThreads = 2;
constexpr std::size_t kLogQueueMax = 64;
constexpr std::size_t kMetricsThreads = 1;
constexpr std::size_t kMetricsQueueMax = 4;

constexpr WorkerPool Pools::* kNone = nullptr;
constexpr auto kStore = &Pools::store;
constexpr auto kAnalytics = &Pools::analytics;
constexpr auto kAdminPool = &Pools::admin;
constexpr auto kLog = &Pools::log;
constexpr auto kEveryone = Access::kEveryone;
constexpr auto kAdmin = Access::kAdmin;

// clang-format off
constexpr std::array kRoutes{
    Route{"GET", "/", go_to_console, kNone, kEveryone},
    Route{"GET", "/console", show_console, kNone, kEveryone},
    Route{"GET", "/healthz", show_health, kNone, kEveryone},
    Route{"GET", "/readyz", show_readiness, kAnalytics, kEveryone},
    Route{"GET", "/metrics", show_metrics, &Pools::metrics, kEveryone},

    Route{"POST", "/api/orders", place_order, kNone, kEveryone},
    Route{"POST", "/orders", place_order, kNone, kEveryone},
    Route{"GET", "/api/orders/{id}", show_order, kStore, kEveryone},
    Route{"GET", "/orders/{id}", show_order, kStore, kEveryone},
    Route{"GET", "/api/orders/user/{userId}", list_orders_of_user, kStore, kEveryone},
    Route{"GET", "/orders/user/{userId}", list_orders_of_user, kStore, kEveryone},
    Route{"DELETE", "/api/admin/orders/{id}", delete_order, kNone, kAdmin},
    Route{"DELETE", "/admin/orders/{id}", delete_order, kNone, kAdmin},

    Route{"GET", "/api/products", list_products, kStore, kEveryone},
    Route{"GET", "/api/products/{id}", show_product, kStore, kEveryone},
    Route{"GET", "/api/products/category/{category}", list_products_in_category, kStore, kEveryone},
    Route{"GET", "/api/users", list_users, kStore, kEveryone},
    Route{"GET", "/api/users/{id}", show_user, kStore, kEveryone},
    Route{"GET", "/api/users/email/{email}", show_user_by_email, kStore, kEveryone},
    Route{"POST", "/api/payments", pay, kNone, kEveryone},
    Route{"GET", "/api/payments/{orderId}", list_payments, kStore, kEveryone},
    Route{"GET", "/api/inventory/{productId}", show_stock, kStore, kEveryone},
    Route{"PATCH", "/api/inventory/{productId}", set_stock, kNone, kEveryone},

    Route{"GET", "/api/analytics/daily-sales", show_daily_sales, kAnalytics, kEveryone},
    Route{"GET", "/api/analytics/hourly-sales", show_hourly_sales, kAnalytics, kEveryone},
    Route{"GET", "/api/analytics/order-status", show_order_status, kAnalytics, kEveryone},
    Route{"GET", "/api/analytics/stats", show_stats, kAnalytics, kEveryone},
    Route{"GET", "/api/analytics/health", show_analytics_health, kAnalytics, kEveryone},

    Route{"GET", "/admin/dead-letters", list_letters, kAdminPool, kAdmin},
    Route{"GET", "/api/admin/dead-letters", list_letters, kAdminPool, kAdmin},
    Route{"GET", "/admin/dead-letters/{topic}/{partition}/{offset}", show_letter, kAdminPool, kAdmin},
    Route{"GET", "/api/admin/dead-letters/{topic}/{partition}/{offset}", show_letter, kAdminPool, kAdmin},
    Route{"DELETE", "/admin/dead-letters/{topic}/{partition}/{offset}", drop_letter, kAdminPool, kAdmin},
    Route{"DELETE", "/api/admin/dead-letters/{topic}/{partition}/{offset}", drop_letter, kAdminPool, kAdmin},
    Route{"POST", "/admin/dead-letters/{topic}/{partition}/{offset}/replay", replay_letter, kAdminPool, kAdmin},
    Route{"POST", "/api/admin/dead-letters/{topic}/{partition}/{offset}/replay", replay_letter, kAdminPool, kAdmin},

    Route{"POST", "/admin/jobs", submit_job, kAdminPool, kAdmin},
    Route{"POST", "/api/admin/jobs", submit_job, kAdminPool, kAdmin},
    Route{"GET", "/admin/jobs", list_jobs, kAdminPool, kAdmin},
    Route{"GET", "/api/admin/jobs", list_jobs, kAdminPool, kAdmin},
    Route{"GET", "/admin/jobs/{id}", show_job, kAdminPool, kAdmin},
    Route{"GET", "/api/admin/jobs/{id}", show_job, kAdminPool, kAdmin},
    Route{"POST", "/admin/jobs/{id}/cancel", cancel_job, kAdminPool, kAdmin},
    Route{"POST", "/api/admin/jobs/{id}/cancel", cancel_job, kAdminPool, kAdmin},

    // Messages hold customers' data, and a new topic changes the log: an admin must be named.
    Route{"GET", "/api/kafka/cluster", show_log_cluster, kLog, kEveryone},
    Route{"GET", "/api/kafka/topics", list_topics, kLog, kEveryone},
    Route{"POST", "/api/kafka/topics", create_topic, kLog, kAdmin},
    Route{"GET", "/api/kafka/topics/{topic}", show_topic, kLog, kEveryone},
    Route{"GET", "/api/kafka/topics/{topic}/messages", show_messages, kLog, kAdmin},
    Route{"GET", "/api/kafka/groups", list_groups, kLog, kEveryone},
    Route{"GET", "/api/kafka/groups/{group}", show_group, kLog, kEveryone},
};
// clang-format on

}  // namespace

Pools::Pools(const Options& options)
    : store(options.store_threads, options.store_queue_max),
      analytics(options.analytics_threads, options.analytics_queue_max),
      admin(kAdminThreads, kAdminQueueMax),
      log(kLogThreads, kLogQueueMax),
      metrics(kMetricsThreads, kMetricsQueueMax) {}

std::span<const Route> routes() {
  return kRoutes;
}

}  // namespace millrace::api
