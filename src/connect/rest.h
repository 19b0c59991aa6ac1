// The routes of Kafka Connect's REST interface that a sink needs.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "base/bounded_queue.h"
#include "connect/control.h"
#include "ports/http.h"

namespace millrace::connect {

struct RestOptions {
  std::string version;    ///< Of this program.
  std::string worker_id;  ///< "127.0.0.1:8083", as the status shows it.
};

/// An error in Kafka Connect's shape.
[[nodiscard]] ports::HttpResponse refusal(int status, std::string_view message);

/// Answers in Kafka Connect's shapes; its errors, too, because that is what clients of this interface read:
/// {"error_code":404,"message":"…"}. Owns the thread that asks the registry.
class Rest : public ports::HttpHandler {
 public:
  Rest(Control& control, RestOptions options);
  ~Rest() override;
  Rest(const Rest&) = delete;
  Rest& operator=(const Rest&) = delete;

  void handle(ports::HttpRequest request, ports::HttpReply reply) override;

  /// The answer; blocks. `handle` names it by X-Request-Id, the client's or a new one, as the log does.
  [[nodiscard]] ports::HttpResponse answer(const ports::HttpRequest& request);

 private:
  /// A row of the table of routes.
  struct Route {
    std::string_view verb;
    std::string_view pattern;
    ports::HttpResponse (Rest::*handler)(const ports::HttpRequest&);
  };

  [[nodiscard]] ports::HttpResponse show_version(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse list_plugins(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse validate(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse list_connectors(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse create(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse show_info(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse remove(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse show_config(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse put_config(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse show_status(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse list_tasks(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse list_topics(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse pause(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse resume(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse stop(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse restart(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse show_task(const ports::HttpRequest& request);
  [[nodiscard]] ports::HttpResponse restart_task(const ports::HttpRequest& request);

  template <class Shape>
  [[nodiscard]] ports::HttpResponse shown(const ports::HttpRequest& request, Shape shape);
  [[nodiscard]] ports::HttpResponse set_target(const ports::HttpRequest& request, TargetState target,
                                               int status);
  [[nodiscard]] std::string status_json(const Connector& connector) const;
  [[nodiscard]] std::string task_json(const Connector& connector) const;

  Control& control_;
  const RestOptions options_;
  base::BoundedQueue<std::function<void()>> jobs_;
  std::thread thread_;
};

}  // namespace millrace::connect
