// SPDX-License-Identifier: Apache-2.0
#include "lib/store/file_driver.h"

#include <cstring>

#include "lib/core/error.h"

namespace ra::store {

struct Hdf5Output::State {
  State(const std::filesystem::path& target, bool force, std::uint64_t expected_bytes)
      : file(target, force, expected_bytes) {}
  OutputFile file;
  std::exception_ptr error;
  haddr_t end_of_allocation = 0;
};

namespace {

// What HDF5 carries for us: its own part first, as the library requires.
struct Handle {
  H5FD_t base;
  Hdf5Output::State* state;
};

struct AccessInfo {
  Hdf5Output::State* state;
};

Hdf5Output::State& state_of(const H5FD_t* file) {
  return *reinterpret_cast<const Handle*>(file)->state;
}

// Runs `body`, keeping the first exception: none may cross the C library.
template <class Body>
void guarded(Hdf5Output::State& state, Body&& body) {
  if (state.error) return;
  try {
    body();
  } catch (...) {
    state.error = std::current_exception();
  }
}

extern "C" {

H5FD_t* driver_open(const char*, unsigned, hid_t fapl, haddr_t) {
  const auto* info = static_cast<const AccessInfo*>(H5Pget_driver_info(fapl));
  if (info == nullptr) return nullptr;
  auto handle = std::make_unique<Handle>();
  handle->state = info->state;
  return reinterpret_cast<H5FD_t*>(handle.release());
}

herr_t driver_close(H5FD_t* file) {
  const std::unique_ptr<Handle> handle(reinterpret_cast<Handle*>(file));
  return 0;
}

int driver_compare(const H5FD_t* a, const H5FD_t* b) {
  return &state_of(a) < &state_of(b) ? -1 : &state_of(a) > &state_of(b) ? 1 : 0;
}

herr_t driver_query(const H5FD_t*, unsigned long* flags) {
  *flags =
      H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_AGGREGATE_SMALLDATA;
  return 0;
}

haddr_t driver_get_eoa(const H5FD_t* file, H5FD_mem_t) { return state_of(file).end_of_allocation; }

herr_t driver_set_eoa(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  state_of(file).end_of_allocation = address;
  return 0;
}

haddr_t driver_get_eof(const H5FD_t* file, H5FD_mem_t) { return state_of(file).file.size(); }

herr_t driver_read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, void* buffer) {
  Hdf5Output::State& state = state_of(file);
  std::memset(buffer, 0, size);
  guarded(state, [&] { state.file.read_at(address, {static_cast<std::byte*>(buffer), size}); });
  return 0;
}

herr_t driver_write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size,
                    const void* buffer) {
  Hdf5Output::State& state = state_of(file);
  guarded(state, [&] {
    state.file.write_at(address, {static_cast<const std::byte*>(buffer), size});
  });
  return 0;
}

// The end-of-file address of the superblock must be the length of the file.
herr_t driver_truncate(H5FD_t* file, hid_t, hbool_t) {
  Hdf5Output::State& state = state_of(file);
  if (state.file.size() >= state.end_of_allocation) return 0;
  constexpr std::byte kZero{0};
  guarded(state, [&] { state.file.write_at(state.end_of_allocation - 1, {&kZero, 1}); });
  return 0;
}

}  // extern "C"

hid_t driver_id() {
  static const hid_t id = [] {
    H5FD_class_t driver{};
#if H5_VERSION_GE(1, 14, 0)
    driver.version = H5FD_CLASS_VERSION;
    driver.value = H5FD_class_value_t{300};  // of the range for private use
#endif
    driver.name = "retrieval-attention-output";
    driver.maxaddr = HADDR_MAX / 2;
    driver.fc_degree = H5F_CLOSE_STRONG;
    driver.fapl_size = sizeof(AccessInfo);
    driver.open = driver_open;
    driver.close = driver_close;
    driver.cmp = driver_compare;
    driver.query = driver_query;
    driver.get_eoa = driver_get_eoa;
    driver.set_eoa = driver_set_eoa;
    driver.get_eof = driver_get_eof;
    driver.read = driver_read;
    driver.write = driver_write;
    driver.truncate = driver_truncate;
    constexpr H5FD_mem_t kMap[] = H5FD_FLMAP_DICHOTOMY;
    std::copy(std::begin(kMap), std::end(kMap), driver.fl_map);
    const hid_t driver_hid = H5FDregister(&driver);
    RA_CHECK(driver_hid >= 0);
    return driver_hid;
  }();
  return id;
}

}  // namespace

Hdf5Output::Hdf5Output(const std::filesystem::path& target, bool force,
                       std::uint64_t expected_bytes)
    : state_(std::make_unique<State>(target, force, expected_bytes)) {
  const auto lock = hdf5_lock();
  const Hid fapl = file_access();
  const AccessInfo info{state_.get()};
  RA_CHECK(H5Pset_driver(fapl.get(), driver_id(), &info) >= 0);
  const Hid fcpl = untimed(H5P_FILE_CREATE);
  h5_ = Hid(check(H5Fcreate(state_->file.partial().c_str(), H5F_ACC_TRUNC, fcpl.get(), fapl.get()),
                  "H5Fcreate"),
            H5Fclose);
}

Hdf5Output::~Hdf5Output() {
  // Not committed: whatever HDF5 still holds need not reach the disk.
  if (!state_->error) state_->error = std::make_exception_ptr(0);
  (void)h5_.reset();
}

void Hdf5Output::check_disk() const {
  if (state_->error) std::rethrow_exception(state_->error);
}

void Hdf5Output::fail_call(std::string_view what) const {
  check_disk();
  fail(Exit::kInternal, {.what = "HDF5 failed",
                         .file = state_->file.target().string(),
                         .where = std::string(what),
                         .why = hdf5_reason()});
}

void Hdf5Output::commit(const std::function<void(const std::filesystem::path&)>& verify) {
  check(h5_.reset(), "H5Fclose");
  check_disk();
  verify(state_->file.partial());
  state_->file.commit();
}

}  // namespace ra::store
