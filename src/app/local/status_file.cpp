#include "app/local/status_file.h"

#include <array>
#include <fstream>
#include <sstream>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/exceptions.h"
#include "base/json.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kLookInterval{500};
constexpr std::array<std::string_view, 3> kPhases = {"starting", "ready", "stopping"};

std::filesystem::path file_in(const std::filesystem::path& directory) {
  return directory / "status.json";
}

base::Result<std::string> text_of(const boost::json::object& object, std::string_view name) {
  MILLRACE_TRY_ASSIGN(const std::string_view text, base::string_member(object, name));
  return std::string(text);
}

base::Result<const boost::json::array*> array_of(const boost::json::object& object, std::string_view name) {
  const boost::json::value* const member = base::find_member(object, name);
  if (member == nullptr || !member->is_array()) return base::invalid("the status is not complete");
  return &member->get_array();
}

}  // namespace

std::string to_json(const StackStatus& status) {
  std::string text;
  base::JsonWriter json(text);
  json.begin_object().key("pid").number(std::int64_t{status.pid});
  json.key("phase").string(kPhases.at(static_cast<std::size_t>(status.phase)));
  json.key("steps").begin_array();
  for (const std::string& step : status.steps) json.string(step);
  json.end_array().key("services").begin_array();
  for (const ServiceEntry& service : status.services)
    json.begin_object()
        .key("name")
        .string(service.name)
        .key("state")
        .string(service.state)
        .key("pid")
        .number(std::int64_t{service.pid})
        .key("port")
        .number(service.port)
        .key("restarts")
        .number(service.restarts)
        .key("problem")
        .string(service.problem)
        .end_object();
  json.end_array().key("endpoints").begin_array();
  for (const Endpoint& endpoint : status.endpoints)
    json.begin_object()
        .key("name")
        .string(endpoint.name)
        .key("address")
        .string(endpoint.address)
        .key("credentials")
        .string(endpoint.credentials)
        .end_object();
  json.end_array().key("credentialsNote").string(status.credentials_note);
  json.key("hasNewPasswords").boolean(status.has_new_passwords).end_object();
  return text;
}

base::Result<StackStatus> parse_setup_status(std::string_view text) {
  MILLRACE_TRY_ASSIGN(const boost::json::value document, base::parse_json(text));
  if (!document.is_object()) return base::invalid("the status is not an object");
  const boost::json::object& object = document.get_object();
  StackStatus status;
  MILLRACE_TRY_ASSIGN(const std::int64_t pid, base::int_member(object, "pid"));
  status.pid = static_cast<pid_t>(pid);
  MILLRACE_TRY_ASSIGN(const std::string phase, text_of(object, "phase"));
  for (std::size_t i = 0; i < kPhases.size(); ++i)
    if (kPhases.at(i) == phase) status.phase = static_cast<StackPhase>(i);
  MILLRACE_TRY_ASSIGN(const auto steps, array_of(object, "steps"));
  for (const boost::json::value& step : *steps)
    if (step.is_string()) status.steps.emplace_back(step.get_string());
  MILLRACE_TRY_ASSIGN(const auto services, array_of(object, "services"));
  for (const boost::json::value& entry : *services) {
    if (!entry.is_object()) return base::invalid("the status is not complete");
    ServiceEntry service;
    MILLRACE_TRY_ASSIGN(service.name, text_of(entry.get_object(), "name"));
    MILLRACE_TRY_ASSIGN(service.state, text_of(entry.get_object(), "state"));
    MILLRACE_TRY_ASSIGN(const std::int64_t service_pid, base::int_member(entry.get_object(), "pid"));
    service.pid = static_cast<pid_t>(service_pid);
    MILLRACE_TRY_ASSIGN(service.port, base::int_member(entry.get_object(), "port"));
    MILLRACE_TRY_ASSIGN(const std::int64_t restarts, base::int_member(entry.get_object(), "restarts"));
    service.restarts = static_cast<std::uint64_t>(restarts);
    MILLRACE_TRY_ASSIGN(service.problem, text_of(entry.get_object(), "problem"));
    status.services.push_back(std::move(service));
  }
  MILLRACE_TRY_ASSIGN(const auto endpoints, array_of(object, "endpoints"));
  for (const boost::json::value& entry : *endpoints) {
    if (!entry.is_object()) return base::invalid("the status is not complete");
    Endpoint endpoint;
    MILLRACE_TRY_ASSIGN(endpoint.name, text_of(entry.get_object(), "name"));
    MILLRACE_TRY_ASSIGN(endpoint.address, text_of(entry.get_object(), "address"));
    MILLRACE_TRY_ASSIGN(endpoint.credentials, text_of(entry.get_object(), "credentials"));
    status.endpoints.push_back(std::move(endpoint));
  }
  // Of an earlier version, which may run in this directory, it has none.
  if (base::find_member(object, "credentialsNote") != nullptr) {
    MILLRACE_TRY_ASSIGN(status.credentials_note, text_of(object, "credentialsNote"));
  }
  if (const auto* is_new = base::find_member(object, "hasNewPasswords");
      is_new != nullptr && is_new->is_bool())
    status.has_new_passwords = is_new->get_bool();
  return status;
}

base::Result<StackStatus> read_setup_status(const std::filesystem::path& directory) {
  std::ifstream stream(file_in(directory));
  if (!stream) return base::not_found("there is no status in " + directory.string());
  std::stringstream text;
  text << stream.rdbuf();
  return parse_setup_status(text.str());
}

StatusFile::StatusFile(const std::filesystem::path& directory) : file_(file_in(directory)) {
  status_.pid = ::getpid();
  write();
}

StatusFile::~StatusFile() {
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
}

void StatusFile::step(std::string text) {
  const std::lock_guard lock(mutex_);
  status_.steps.push_back(std::move(text));
  write();
}

void StatusFile::set_phase(StackPhase phase) {
  const std::lock_guard lock(mutex_);
  status_.phase = phase;
  write();
}

void StatusFile::set_services(std::vector<ServiceEntry> services) {
  const std::lock_guard lock(mutex_);
  status_.services = std::move(services);
  write();
}

void StatusFile::set_endpoints(std::vector<Endpoint> endpoints) {
  const std::lock_guard lock(mutex_);
  status_.endpoints = std::move(endpoints);
  write();
}

void StatusFile::set_credentials(std::string note, bool has_new_passwords) {
  const std::lock_guard lock(mutex_);
  status_.credentials_note = std::move(note);
  status_.has_new_passwords = has_new_passwords;
  write();
}

void StatusFile::write() {
  std::string text = to_json(status_);
  if (text == written_) return;
  if (base::replace_file(file_, text + '\n')) written_ = std::move(text);
}

ServiceWatch::ServiceWatch(StatusFile& keeper, std::function<std::vector<ServiceEntry>()> look) {
  thread_ = std::thread([this, &keeper, look = std::move(look)] {
    do {
      if (const auto thrown = base::exception_of([&] { keeper.set_services(look()); }))
        spdlog::error("the state of the services could not be written: an exception: {}", *thrown);
    } while (!stop_.wait_for(kLookInterval));
  });
}

ServiceWatch::~ServiceWatch() {
  stop_.request();
  thread_.join();
}

}  // namespace millrace::app
