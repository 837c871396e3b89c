// SPDX-License-Identifier: Apache-2.0
#include "lib/store/hdf5.h"

#include <gtest/gtest.h>

#include <cstring>

namespace ra::store {
namespace {

TEST(Hdf5Test, HalfTypesConvertAsDocumented) {
  const auto lock = hdf5_lock();
  const auto as_double = [](DType type, std::uint16_t bits) {
    const Hid id = file_type(type);
    double buffer = 0;  // converted in place
    std::memcpy(&buffer, &bits, 2);
    EXPECT_GE(H5Tconvert(id.get(), H5T_NATIVE_DOUBLE, 1, &buffer, nullptr, H5P_DEFAULT), 0);
    return buffer;
  };
  EXPECT_EQ(as_double(DType::kF16, 0x3c00), 1.0);
  EXPECT_EQ(as_double(DType::kF16, 0xc100), -2.5);
  EXPECT_EQ(as_double(DType::kF16, 0x7bff), 65504.0);
  EXPECT_EQ(as_double(DType::kF16, 0x0001), 0x1p-24);
  EXPECT_EQ(as_double(DType::kBf16, 0x3f80), 1.0);
  EXPECT_EQ(as_double(DType::kBf16, 0xc049), -3.140625);
  EXPECT_EQ(as_double(DType::kBf16, 0x7f7f), 0x1.fep127);
}

TEST(Hdf5Test, ChunksStayBelowOneMiBAndWasteLessThanARowEach) {
  for (const std::int64_t width : {1, 64, 80, 128, 1024})
    for (const std::size_t element : {2u, 4u})
      for (const std::int64_t rows : {1, 2, 999, 8192, 8193, 100000}) {
        const std::int64_t chunk = chunk_rows(rows, width, element);
        ASSERT_GE(chunk, 1);
        EXPECT_LE(static_cast<std::size_t>(chunk * width) * element, 1u << 20);
        const std::int64_t chunks = (rows + chunk - 1) / chunk;
        EXPECT_LT(chunks * chunk - rows, chunks) << rows << " x " << width;
      }
  EXPECT_EQ(chunk_rows(8192, 64, 2), 8192);  // exactly 1 MiB
  EXPECT_EQ(chunk_rows(8193, 64, 2), 4097);  // two equal pieces, not 8192 + 1
  EXPECT_EQ(chunk_rows(5, 1 << 20, 4), 1);   // never below one row
}

TEST(Hdf5Test, HandlesMoveAndClose) {
  const auto lock = hdf5_lock();
  Hid a = file_type(DType::kF16);
  const hid_t id = a.get();
  Hid b = std::move(a);
  EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move): that is the point
  EXPECT_EQ(b.get(), id);
  EXPECT_GE(b.reset(), 0);
  EXPECT_EQ(H5Iis_valid(id), 0);
}

TEST(Hdf5Test, ReasonNamesTheCause) {
  const auto lock = hdf5_lock();
  EXPECT_LT(H5Fopen("/no/such/file", H5F_ACC_RDONLY, H5P_DEFAULT), 0);
  EXPECT_NE(hdf5_reason().find("unable to open file"), std::string::npos) << hdf5_reason();
}

}  // namespace
}  // namespace ra::store
