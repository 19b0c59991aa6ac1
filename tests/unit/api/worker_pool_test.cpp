#include "api/worker_pool.h"

#include <future>
#include <stdexcept>

#include <gtest/gtest.h>

namespace millrace::api {
namespace {

TEST(WorkerPool, GoesOnAfterAJobThatThrows) {
  std::promise<int> answered;
  WorkerPool pool(1, 2);
  ASSERT_TRUE(pool.submit([] { throw std::runtime_error("on purpose"); }));
  while (!pool.submit([&] { answered.set_value(7); })) std::this_thread::yield();
  EXPECT_EQ(answered.get_future().get(), 7);
}

}  // namespace
}  // namespace millrace::api
