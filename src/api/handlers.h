// The handlers in the table of routes, a file per resource.
#pragma once

#include "api/routes.h"

namespace millrace::api {

// health.cpp
AnsweringHandler go_to_console, show_console, show_health, show_readiness, show_metrics;

// orders.cpp
SubmittingHandler place_order, delete_order;
AnsweringHandler show_order, list_orders_of_user;

// payments.cpp
SubmittingHandler pay;
AnsweringHandler list_payments;

// products.cpp
AnsweringHandler list_products, show_product, list_products_in_category;

// users.cpp
AnsweringHandler list_users, show_user, show_user_by_email;

// inventory.cpp
AnsweringHandler show_stock;
SubmittingHandler set_stock;

// analytics.cpp
AnsweringHandler show_daily_sales, show_hourly_sales, show_order_status, show_stats, show_analytics_health;

// dead_letters.cpp
AnsweringHandler list_letters, show_letter, replay_letter, drop_letter;

// jobs.cpp
AnsweringHandler submit_job, list_jobs, show_job, cancel_job;

// kafka.cpp
AnsweringHandler show_log_cluster, list_topics, show_topic, show_messages, create_topic, list_groups,
    show_group;

}  // namespace millrace::api
