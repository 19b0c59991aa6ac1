// Which requests may come from a browser: the rules against pages of other sites and against DNS rebinding.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "web/head.h"
#include "web/host.h"

namespace millrace::web {

struct AccessRules {
  std::string listen_host;              ///< As configured; its name is one of ours.
  std::vector<HostPort> allowed_hosts;  ///< Further names; without a port they hold for any.
  std::vector<std::string> cors_origins;
  /// A person who follows a link to a page or a figure comes "from another site", too: a GET that becomes the
  /// content of a tab, which no other page can read.
  bool allows_navigation = true;
};

/// `hosts` and `origins` as the settings http.allowed_hosts and cors.origins have them. Errors: kInvalid,
/// naming the setting.
[[nodiscard]] base::Result<AccessRules> access_rules(std::string listen_host, std::string_view hosts,
                                                     std::string_view origins);

struct Refusal {
  int status = 0;  ///< 421 or 403.
  std::string message;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Access {
  std::optional<Refusal> refusal;
  bool is_preflight = false;  ///< To be answered with 204 and `headers`, and not to be carried out.
  Headers headers;            ///< For the answer, refused or not.
};

/// A pure function of the head: nothing of it has been carried out, and the body need not be there.
[[nodiscard]] Access check_access(const AccessRules& rules, const RequestHead& head);

/// A current browser sent it, on behalf of a page or of its user.
[[nodiscard]] bool is_from_browser(const RequestHead& head);

/// Something says that it came out of a browser, even an old one that sends neither Origin nor Sec-Fetch-Site
/// with simple requests.
[[nodiscard]] bool looks_like_browser(const RequestHead& head);

/// The media type of the Content-Type header in lower case, without its parameters; empty if there is none.
[[nodiscard]] std::string media_type(const RequestHead& head);

/// A type that a page may send to any host without asking it first, and no type at all.
[[nodiscard]] bool is_simple_type(std::string_view media_type);

/// A body that is to change something and is not JSON: the sentence to refuse it with (415).
[[nodiscard]] std::optional<std::string> check_json_body(const RequestHead& head);

/// What every answer carries: browsers guess no types, lend no answers to other sites, and tell nobody where
/// they were. For `text/html` also what the page may do.
[[nodiscard]] std::string security_headers(std::string_view content_type);

}  // namespace millrace::web
