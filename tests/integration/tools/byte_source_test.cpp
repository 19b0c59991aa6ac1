#include "tools/byte_source.h"

#include <fstream>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <zstd.h>

#include "support/temporary_directory.h"

namespace millrace::tools {
namespace {

using base::ErrorKind;

std::string packed(const std::string& text) {
  std::string bytes(ZSTD_compressBound(text.size()), '\0');
  bytes.resize(ZSTD_compress(bytes.data(), bytes.size(), text.data(), text.size(), 3));
  return bytes;
}

/// Hard to compress, so that the packed text fills several pieces.
std::string noise(std::size_t bytes) {
  std::minstd_rand random(1);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random() % 256);
  return text;
}

class ByteSourceFiles : public testing::Test {
 protected:
  base::Result<std::string> read(const std::string& content) {
    const auto path = directory_.path() / "file";
    std::ofstream(path, std::ios::binary) << content;
    return read_path(path);
  }
  static base::Result<std::string> read_path(const std::filesystem::path& path) {
    MILLRACE_TRY_ASSIGN(const auto source, open_bytes(path));
    std::string all;
    for (;;) {
      MILLRACE_TRY_ASSIGN(const std::string_view piece, source->next());
      if (piece.empty()) return all;
      all += piece;
    }
  }
  const support::TemporaryDirectory directory_;
};

TEST_F(ByteSourceFiles, ComeOutAsTheyAreWhenPlain) {
  EXPECT_EQ(*read(""), "");
  EXPECT_EQ(*read("a,b"), "a,b");
  const std::string large = noise(1'000'000);
  EXPECT_EQ(*read("x" + large), "x" + large);
}

TEST_F(ByteSourceFiles, ComeOutUnpackedWhenCompressed) {
  EXPECT_EQ(*read(packed("")), "");
  EXPECT_EQ(*read(packed("a,b")), "a,b");
  const std::string large = noise(1'000'000) + std::string(3'000'000, 'z');
  EXPECT_EQ(*read(packed(large)), large);
  EXPECT_EQ(*read(packed("one,") + packed("two")), "one,two");
}

TEST_F(ByteSourceFiles, AreRefusedWhenCutOffOrDamaged) {
  const std::string whole = packed(noise(600'000));
  for (const std::size_t length : {std::size_t{5}, whole.size() / 2, whole.size() - 1}) {
    const auto text = read(whole.substr(0, length));
    ASSERT_FALSE(text.has_value());
    EXPECT_EQ(text.error().kind, ErrorKind::kInvalid) << text.error().message;
  }
  const auto text = read(whole.substr(0, 4) + noise(100));
  ASSERT_FALSE(text.has_value());
  EXPECT_NE(text.error().message.find("is damaged"), std::string::npos) << text.error().message;
}

TEST_F(ByteSourceFiles, AreNamedWhenTheyCannotBeOpened) {
  const auto missing = read_path(directory_.path() / "missing.csv");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(missing.error().message.find("missing.csv"), std::string::npos);
  const auto directory = read_path(directory_.path());
  ASSERT_FALSE(directory.has_value());
  EXPECT_EQ(directory.error().kind, ErrorKind::kInvalid);
}

}  // namespace
}  // namespace millrace::tools
