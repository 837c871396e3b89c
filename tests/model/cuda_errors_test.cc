// SPDX-License-Identifier: Apache-2.0
#include "lib/model/cuda_errors.h"

#include "lib/core/error.h"
#include "tests/support/cuda/machine.h"

namespace ra::model {
namespace {

template <class Body>
Error error_of(Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error";
  return Error(Exit::kOk, {});
}

class CudaErrorsTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaErrorsTest);

TEST_P(CudaErrorsTest, WithoutRoomSayHowMuchThereIs) {
  const Error e = error_of(
      [] { on_device([] { throw cuda::DeviceError("cudaMalloc: out of memory", true); }); });
  EXPECT_EQ(e.code(), Exit::kNoMemory);
  EXPECT_NE(e.text().why.find("cudaMalloc"), std::string::npos);
  EXPECT_NE(e.text().why.find("bytes are free"), std::string::npos);
}

TEST_P(CudaErrorsTest, OthersMakeTheDeviceUnavailable) {
  const Error e =
      error_of([] { on_device([] { throw cuda::DeviceError("device work: lost", false); }); });
  EXPECT_EQ(e.code(), Exit::kUnavailable);
  EXPECT_EQ(static_cast<int>(e.code()), 69);
  EXPECT_NE(e.text().why.find("lost"), std::string::npos);
}

TEST_P(CudaErrorsTest, ResultsPassThrough) {
  EXPECT_EQ(on_device([] { return 7; }), 7);
}

}  // namespace
}  // namespace ra::model
