#include "adapters/kafka/quorum.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <memory>

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace millrace::adapters::kafka {
namespace {

constexpr std::uint16_t kDescribeQuorum = 55;
constexpr std::string_view kMetadataTopic = "__cluster_metadata";
constexpr std::uint32_t kResponseBytesMax = 1U << 20U;

template <class Number>
void put(std::string& out, Number value) {
  for (int shift = (static_cast<int>(sizeof(Number)) - 1) * 8; shift >= 0; shift -= 8)
    out += static_cast<char>(static_cast<unsigned char>(value >> shift));
}

/// Takes pieces off the front; after a piece that is not there, all are nothing.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <class Number>
  std::optional<Number> number() {
    if (bytes_.size() < sizeof(Number)) return fail<Number>();
    std::make_unsigned_t<Number> value = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i)
      value =
          static_cast<std::make_unsigned_t<Number>>((value << 8U) | static_cast<unsigned char>(bytes_[i]));
    bytes_.remove_prefix(sizeof(Number));
    return static_cast<Number>(value);
  }
  std::optional<std::uint32_t> varint() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 32 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<std::uint32_t>(byte & 0x7fU) << shift;
      if ((byte & 0x80U) == 0) return value;
    }
    return fail<std::uint32_t>();
  }
  std::optional<std::string_view> compact_string() {
    const auto length = varint();
    if (!length || *length == 0 || *length - 1 > bytes_.size()) return fail<std::string_view>();
    const std::string_view text = bytes_.substr(0, *length - 1);
    bytes_.remove_prefix(text.size());
    return text;
  }

 private:
  template <class T>
  std::optional<T> fail() {
    bytes_ = {};
    return std::nullopt;
  }
  std::string_view bytes_;
};

class Socket {
 public:
  explicit Socket(int family) : file_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}
  ~Socket() {
    if (file_ >= 0) ::close(file_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  [[nodiscard]] bool connect(const addrinfo& address, base::Deadline deadline) const {
    if (::connect(file_, address.ai_addr, address.ai_addrlen) == 0) return true;
    if (errno != EINPROGRESS || !wait_for(POLLOUT, deadline)) return false;
    int error = 0;
    socklen_t size = sizeof(error);
    return ::getsockopt(file_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  }
  [[nodiscard]] bool send(std::string_view bytes, base::Deadline deadline) const {
    while (!bytes.empty()) {
      if (!wait_for(POLLOUT, deadline)) return false;
      const ssize_t sent = ::send(file_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
      if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  [[nodiscard]] std::optional<std::string> receive(std::size_t size, base::Deadline deadline) const {
    std::string bytes(size, '\0');
    std::size_t got = 0;
    while (got < size) {
      if (!wait_for(POLLIN, deadline)) return std::nullopt;
      const ssize_t count = ::recv(file_, bytes.data() + got, size - got, 0);
      if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return std::nullopt;
      if (count > 0) got += static_cast<std::size_t>(count);
    }
    return bytes;
  }

 private:
  [[nodiscard]] bool wait_for(short events, base::Deadline deadline) const {
    pollfd entry{.fd = file_, .events = events, .revents = 0};
    const auto left_ms =
        static_cast<int>(std::min<std::int64_t>(deadline.left().count(), std::numeric_limits<int>::max()));
    return ::poll(&entry, 1, left_ms) > 0;
  }
  int file_;
};

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

}  // namespace

std::string quorum_request() {
  std::string body;
  put(body, kDescribeQuorum);
  put(body, std::uint16_t{0});       // version
  put(body, std::uint32_t{1});       // correlation
  put(body, std::uint16_t{0xffff});  // no client id
  body += '\0';                      // no tagged fields
  body += '\2';                      // one topic: compact lengths are one more
  body += static_cast<char>(kMetadataTopic.size() + 1);
  body += kMetadataTopic;
  body += '\2';  // one partition
  put(body, std::uint32_t{0});
  body.append(3, '\0');  // no tagged fields of the partition, the topic and the request
  std::string request;
  put(request, static_cast<std::uint32_t>(body.size()));
  return request + body;
}

std::optional<std::int32_t> quorum_leader(std::string_view response) {
  Reader reader(response);
  if (reader.number<std::int32_t>() != 1 || reader.varint() != 0U)
    return std::nullopt;  // correlation, no tags
  if (reader.number<std::int16_t>() != 0 || reader.varint() != 2U)
    return std::nullopt;  // no error, one topic
  if (reader.compact_string() != kMetadataTopic || reader.varint() != 2U) return std::nullopt;
  if (reader.number<std::int32_t>() != 0 || reader.number<std::int16_t>() != 0) return std::nullopt;
  const auto leader = reader.number<std::int32_t>();
  return leader && *leader >= 0 ? leader : std::nullopt;
}

base::Result<std::int32_t> ask_quorum_leader(const std::string& host, std::uint16_t port,
                                             base::Deadline deadline) {
  const auto silent = [&] {
    return base::unavailable(fmt::format("{}:{} does not tell who leads the quorum", host, port));
  };
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0) return silent();
  const std::unique_ptr<addrinfo, FreeAddresses> addresses(found);
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const Socket socket(address->ai_family);
    if (!socket.connect(*address, deadline) || !socket.send(quorum_request(), deadline)) continue;
    const auto length = socket.receive(sizeof(std::uint32_t), deadline);
    const auto size = length ? Reader(*length).number<std::uint32_t>() : std::nullopt;
    if (!size || *size > kResponseBytesMax) continue;
    const auto response = socket.receive(*size, deadline);
    if (!response) continue;
    if (const auto leader = quorum_leader(*response)) return *leader;
    return silent();
  }
  return silent();
}

}  // namespace millrace::adapters::kafka
