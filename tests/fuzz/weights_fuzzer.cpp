// libFuzzer target for the readers of untrusted weights: the first byte chooses the reader, the rest is the file.
// Anything but a UserError (a crash, a sanitizer's report, another exception) is a bug. Build and run:
//   CXX=clang++ cmake -S . -B build_fuzz -G Ninja -DDIFFTUNE_FUZZ=ON && ninja -C build_fuzz weights_fuzzer
//   build_fuzz/tests/fuzz/weights_fuzzer -max_total_time=600 FINDINGS_FOLDER tests/fuzz/corpus
// `unit.FuzzCorpus` replays the corpus in every test run.
#include "fuzz_readers.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  difftune::read_untrusted({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
