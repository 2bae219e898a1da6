// What the benchmarks share: a clock that takes the least of several runs, and how a result is printed.
#pragma once

#include <c10/core/ScalarType.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace difftune::bench {

struct Settings {
  std::string checkpoint;  // for benchmarks of a whole model; they are left out without one
  int64_t size_px = 256;
  int num_runs = 5;
  std::vector<c10::ScalarType> dtypes = {c10::kFloat, c10::kBFloat16};
};

// Time on the clock, and of all processors together: the latter says more where others use the machine too.
struct Seconds {
  double elapsed = 0, processor = 0;
};

// The least of `num_runs` calls, after one that is not counted.
Seconds fastest_run(const std::function<void()>& work, int num_runs);

// GFLOP/s of the machine's product of two 2048x2048 matrices: what the others are a share of. Measured once per dtype.
double matrix_peak_gflops(c10::ScalarType dtype);

// One line: name, milliseconds, and (where `gflop` is not zero) GFLOP/s and the share of the matrix peak.
void print_result(std::string_view name, Seconds seconds, double gflop = 0, c10::ScalarType dtype = c10::kFloat);

// Resident memory in bytes, now and at its highest ("VmRSS", "VmHWM" of /proc/self/status).
int64_t resident_bytes(std::string_view field);
// Starts the record of the highest anew.
void forget_highest_resident();

struct Benchmark {
  std::string_view name;
  void (*run)(const Settings& settings);
};
const std::vector<Benchmark>& benchmarks();

void run_convolutions(const Settings& settings);
void run_unet_step(const Settings& settings);
void run_vae_encode(const Settings& settings);
void run_weight_tools(const Settings& settings);

}  // namespace difftune::bench
