#include "base/result.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

TEST(PublicMessage, IsOurOwnSentenceWhereItIsOurs) {
  EXPECT_EQ(public_message({ErrorKind::kInvalid, "send a quantity from 1", 0}), "send a quantity from 1");
}

TEST(PublicMessage, HoldsNothingThatAServerSaid) {
  for (const auto kind : {ErrorKind::kInvalid, ErrorKind::kNotFound, ErrorKind::kConflict,
                          ErrorKind::kUnavailable, ErrorKind::kRejected, ErrorKind::kFatal}) {
    const std::string told =
        public_message({kind, "shop@db7:3306/shop: INSERT INTO users: Duplicate entry", 1062});
    for (const char* part : {"shop", "db7", "INSERT", "users", "Duplicate"})
      EXPECT_EQ(told.find(part), std::string::npos) << told;
    EXPECT_NE(told.find("1062"), std::string::npos) << told;
  }
}

TEST(PublicMessage, KeepsItsSilenceWhenContextIsPutInFront) {
  const auto error = with_context("set the stock", {ErrorKind::kInvalid, "SELECT secret", 1064}).error();
  EXPECT_EQ(public_message(error).find("SELECT"), std::string::npos);
}

}  // namespace
}  // namespace millrace::base
