#include "web/head.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "web/body_reader.h"

namespace millrace::web {
namespace {

/// What reading the head gives: its status to refuse it with, 0 if it is fine, -1 if it has no end.
int status_of(std::string_view text, RequestHead* into = nullptr, HeadLimits limits = {}) {
  HeadScanner scanner(limits);
  std::optional<HeadScanner::Span> span;
  // Byte by byte: what is seen must not depend on how it arrives.
  for (std::size_t size = 1; size <= text.size() && !span; ++size) {
    auto found = scanner.scan(text.substr(0, size));
    if (!found) return found.error().vendor_code;
    span = *found;
  }
  if (!span) return -1;
  auto head = parse_head(text.substr(span->begin, span->end - span->begin), limits);
  if (!head) return head.error().vendor_code;
  if (into != nullptr) *into = std::move(*head);
  return 0;
}

TEST(RequestHead, IsReadAsItStands) {
  RequestHead head;
  ASSERT_EQ(
      status_of(
          "\r\nPOST /a%20b?c=d HTTP/1.1\r\nHost: localhost:3000\r\nX-One:  two\t \r\nX-\x7e: \xc3\xa4\r\n"
          "Content-Length: 12\r\n\r\nthe body",
          &head),
      0);
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/a%20b?c=d");
  EXPECT_EQ(head.minor_version, 1);
  EXPECT_EQ(*head.header("x-one"), "two");
  EXPECT_EQ(*head.header("x-~"), "\xc3\xa4");
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_TRUE(head.keep_alive && head.has_body() && !head.is_chunked);
  ASSERT_EQ(
      status_of(
          "GET http://LocalHost:3000?x HTTP/1.1\r\nHost: localhost:3000\r\nConnection: a, Close\r\n\r\n",
          &head),
      0);
  EXPECT_EQ(head.target, "/?x");
  EXPECT_FALSE(head.keep_alive);
  ASSERT_EQ(status_of("GET / HTTP/1.0\r\n\r\n", &head), 0);
  EXPECT_FALSE(head.keep_alive);
  ASSERT_EQ(status_of("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", &head), 0);
  EXPECT_TRUE(head.is_chunked);
}

TEST(RequestHead, IsRefusedWhereTwoReadersCouldDiffer) {
  for (const std::string_view framing : {"Transfer-Encoding: xchunked",
                                         "Transfer-Encoding: chunked, chunked",
                                         "Transfer-Encoding: gzip, chunked",
                                         "Transfer-Encoding: chunked;q=1",
                                         "Transfer-Encoding: \"chunked\"",
                                         "Transfer-Encoding:",
                                         "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                                         "Transfer-Encoding: chunked\r\nContent-Length: 3",
                                         "Content-Length: 3\r\nContent-Length: 3",
                                         "Content-Length: 3\r\nContent-Length: 4",
                                         "Content-Length: 3, 3",
                                         "Content-Length: +3",
                                         "Content-Length: -1",
                                         "Content-Length: 0x3",
                                         "Content-Length: 3 3",
                                         "Content-Length:",
                                         "Content-Length: 3.0",
                                         "Content-Length: 99999999999999999999",
                                         "Transfer-Encoding : chunked",
                                         "Content-Length : 3",
                                         " Content-Length: 3",
                                         "X: a\r\n b",
                                         "X: a\r\n\tb",
                                         "X y: 1",
                                         "X",
                                         ": 1",
                                         "X: a\rb",
                                         "X: a\nb",
                                         "X: a\x01",
                                         "Host: b",
                                         "X: a\r\n\nY: b",
                                         "Origin: http://a\r\nOrigin: http://b",
                                         "Content-Type: a/b\r\nContent-Type: application/json",
                                         "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site"})
    EXPECT_EQ(status_of(fmt::format("POST / HTTP/1.1\r\nHost: localhost\r\n{}\r\n\r\n", framing)), 400)
        << framing;
  for (const std::string_view line : {"GET  / HTTP/1.1",
                                      "GET / HTTP/1.1 ",
                                      " GET / HTTP/1.1",
                                      "GET /\tHTTP/1.1",
                                      "GET / HTTP/1.1\r",
                                      "GET /a b HTTP/1.1",
                                      "GET / http/1.1",
                                      "GET / HTTP/1.1x",
                                      "GET / HTTP/11",
                                      "GET /",
                                      "GET",
                                      "G(T / HTTP/1.1",
                                      "GET x HTTP/1.1",
                                      "GET ?a HTTP/1.1",
                                      "GET * HTTP/1.1",
                                      "GET /#a HTTP/1.1",
                                      "GET http:// HTTP/1.1",
                                      "GET https://localhost/ HTTP/1.1",
                                      "GET http://other/ HTTP/1.1",
                                      "GET http://localhost:1/ HTTP/1.1",
                                      "GET http://u@localhost/ HTTP/1.1"})
    EXPECT_EQ(status_of(fmt::format("{}\r\nHost: localhost\r\n\r\n", line)), 400) << line;
  for (const std::string_view host :
       {"", "a b", "a:b", "a:99999", "a:1:2", "u@a", "a/b", "[::1", "[::1]x", "[]", "a,b"})
    EXPECT_EQ(status_of(fmt::format("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", host)), 400) << host;
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET http://a/ HTTP/1.0\r\n\r\n"), 400);
  EXPECT_EQ(status_of(std::string_view("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", 27)), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\nHost: a\n\n"), 400);
  EXPECT_EQ(status_of("\x16\x03\x01\x02"), 400);
}

TEST(RequestHead, SaysWhatItDoesNotSpeak) {
  EXPECT_EQ(status_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(status_of("PRI * HTTP/2.0\r\n\r\n"), 505);
  EXPECT_EQ(status_of("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
  EXPECT_EQ(status_of("get / HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"), 501);
}

TEST(RequestHead, IsBoundedInAllItsParts) {
  const HeadLimits limits{.head_bytes_max = 200'000, .header_bytes_max = 16'384, .headers_max = 100};
  const auto with = [&](std::string_view headers) {
    return status_of(fmt::format("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", headers), nullptr, limits);
  };
  EXPECT_EQ(with("X: " + std::string(16'000, 'v') + "\r\n"), 0);
  EXPECT_EQ(with("X: " + std::string(65'534, 'v') + "\r\n"), 431);
  EXPECT_EQ(with(std::string(70'000, 'n') + ": v\r\n"), 431);
  std::string many;
  for (int i = 0; i < 100; ++i) many += fmt::format("X-{}: 1\r\n", i);
  EXPECT_EQ(with(many), 431);
  EXPECT_EQ(status_of("GET /" + std::string(20'000, 'a')), 414);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'a')), 431);
}

/// The body of these bytes, or the status to refuse them with.
std::string body_of(const RequestHead& head, std::string_view bytes, std::size_t piece, std::size_t room,
                    std::uint64_t bytes_max = 1'000) {
  BodyReader reader(head, bytes_max);
  std::string body;
  std::string out(room, '\0');
  while (!reader.done()) {
    if (bytes.empty()) return "more";
    const auto step = reader.decode(bytes.substr(0, piece), out.data(), room);
    if (!step) return std::to_string(step.error().vendor_code);
    EXPECT_TRUE(step->taken > 0 || step->made > 0);
    body.append(out, 0, step->made);
    bytes.remove_prefix(step->taken);
  }
  return fmt::format("{}|{}", body, bytes);
}

TEST(BodyReader, TakesABodyAndLeavesWhatFollows) {
  RequestHead chunked;
  chunked.is_chunked = true;
  RequestHead plain;
  plain.content_length = 5;
  for (const std::size_t piece : {1u, 2u, 7u, 1000u})
    for (const std::size_t room : {1u, 3u, 1000u}) {
      EXPECT_EQ(body_of(plain, "helloGET /", piece, room), "hello|GET /");
      EXPECT_EQ(body_of(chunked, "3\r\nhel\r\n00A;x=\"y\"\r\nlo, \r\nworl\r\n0;z\r\nA: b\r\n\r\nGET /", piece,
                        room),
                "hello, \r\nworl|GET /");
      EXPECT_EQ(body_of(chunked, "0\r\n\r\n", piece, room), "|");
      EXPECT_EQ(body_of(plain, "hell", piece, room), "more");
      EXPECT_EQ(body_of(plain, "hello", piece, room, 4), "413");
      EXPECT_EQ(body_of(chunked, "5\r\nhello\r\n0\r\n\r\n", piece, room, 4), "413");
    }
}

TEST(BodyReader, RefusesChunksThatOthersWouldReadOtherwise) {
  RequestHead chunked;
  chunked.is_chunked = true;
  for (const std::string_view bytes :
       {"", "\r\n", "g\r\n", " 3\r\nabc\r\n", "3 \r\nabc\r\n", "+3\r\nabc\r\n", "0x3\r\nabc\r\n",
        "3\nabc\r\n", "3\r\nabcd\r\n", "3\r\nabc\n0\r\n\r\n", "3\r\nabc\r0\r\n\r\n", "3\rabc\r\n", "3;a\nabc",
        "-1\r\n", "ffffffffffffffff\r\n", "0\r\n\n", "0\r\na\rb\r\n\r\n", "0\r\na\nb\r\n\r\n",
        "3;\x01\r\nabc"})
    EXPECT_EQ(body_of(chunked, std::string(bytes) + "zz", 1000, 1000), "400") << bytes;
  EXPECT_EQ(body_of(chunked, "1;" + std::string(60'000, 'e'), 1000, 10), "400");
  EXPECT_EQ(body_of(chunked, "0\r\nX: " + std::string(60'000, 'e'), 1000, 10), "400");
  EXPECT_EQ(body_of(chunked, "fffffffffffffff\r\nx", 1000, 10), "413");
}

}  // namespace
}  // namespace millrace::web
