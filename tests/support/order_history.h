// Made-up histories of orders, and what the warehouse must say about them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "domain/order_event.h"
#include "sink/rollups.h"

namespace millrace::test {

/// Events of orders that are made, changed and deleted, and the truth about them; shares no code with the
/// stages.
struct History {
  struct Truth {
    domain::OrderImage image;
    std::uint64_t version;
    bool deleted;
  };
  std::vector<domain::OrderEvent> events;
  std::map<std::string, Truth> orders;
  std::map<std::string, sink::Sums> sums;

  explicit History(std::uint64_t seed, std::size_t events_max) {
    std::mt19937_64 random(seed);
    std::uint64_t clock_ms = 1'767'225'600'000;
    while (events.size() < events_max) {
      clock_ms += random() % 7'200'000;
      domain::OrderEvent event;
      event.occurred_at = base::utc_from_ms(static_cast<std::int64_t>(clock_ms));
      const bool change = !orders.empty() && random() % 5 >= 2;
      if (!change) {
        event.type = domain::OrderEventType::kCreated;
        event.version = clock_ms;
        event.after = new_order(random, orders.size(), event.occurred_at);
      } else {
        auto& truth =
            std::next(orders.begin(), static_cast<std::ptrdiff_t>(random() % orders.size()))->second;
        if (truth.deleted) continue;
        event.version = std::max(clock_ms, truth.version + 1);
        event.before = truth.image;
        event.type =
            random() % 3 == 0 ? domain::OrderEventType::kDeleted : domain::OrderEventType::kStatusChanged;
        if (event.type == domain::OrderEventType::kStatusChanged) {
          event.after = truth.image;
          event.after->status = static_cast<domain::OrderStatus>(random() % 8);
        } else {
          event.deleted_by = "admin";
        }
      }
      const domain::OrderImage& image = event.image();
      orders[image.order_id.value()] = {image, event.version, event.type == domain::OrderEventType::kDeleted};
      events.push_back(std::move(event));
    }
    for (const auto& [id, truth] : orders)
      if (!truth.deleted) count(truth.image);
  }

 private:
  static domain::OrderImage new_order(std::mt19937_64& random, std::size_t number, base::UtcTime now) {
    domain::OrderImage order;
    order.order_id = domain::OrderId("order-" + std::to_string(number));
    order.user_id = domain::UserId("user-" + std::to_string(random() % 3));
    order.user_email = order.user_id.value() + "@example.com";
    order.created_at = now;
    for (std::size_t i = 0, lines = 1 + random() % 3; i < lines; ++i)
      order.lines.push_back({domain::ProductId("p" + std::to_string(random() % 4)), "P",
                             static_cast<std::int64_t>(1 + random() % 3),
                             domain::Money::from_units(static_cast<std::int64_t>(random() % 1'000'000))});
    order.total_amount = domain::total_of(order.lines);
    return order;
  }

  void count(const domain::OrderImage& image) {
    const auto seconds = base::to_ms(image.created_at) / 1000;
    const auto hour = std::to_string(seconds / 3600 * 3600);
    const auto day = std::to_string(seconds / 86400 * 86400);
    const std::string status(domain::to_string(image.status));
    const std::int64_t sale = status == "CANCELLED" || status == "REFUNDED" ? 0 : 1;
    const std::string& user = image.user_id.value();
    sums["1||" + hour + "|" + status + "|"] += {1, 0, 0, image.total_amount};
    if (sale == 1) sums["2||" + day + "|" + user + "|"] += {0, 1, 0, {}};
    sums["3|" + user + "|" + day + "|" + image.user_email + "|"] += {1, sale, 0, image.total_amount};
    for (const domain::OrderLine& line : image.lines)
      sums["4||" + day + "|" + line.product_id.value() + "|P"] +=
          {0, 0, line.quantity, line.price * line.quantity};
  }
};

}  // namespace millrace::test
