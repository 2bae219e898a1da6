#include "nn/bfloat16_attention.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "nn/lanes_avx512.h"
#include "nn/matrix_product.h"
#include "nn/panel_product.h"
#include "nn/widen.h"

namespace difftune::nn {
namespace {

using c10::BFloat16;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using HeadRows = RowsOf<const BFloat16>;

constexpr int64_t kPanelColumns = 64;
// A block's scores stay in the second-level cache: forward, of some queries with all keys; backward, of some keys with
// some queries, several times over.
constexpr int64_t kBlockScores = int64_t{1} << 16, kFewestQueries = 16, kMostQueries = 64;
constexpr int64_t kKeysPerBlock = 64, kQueriesPerBlock = 512;  // even

int64_t even(int64_t count) { return count + count % 2; }

struct Shape {
  explicit Shape(const at::Tensor& q, const at::Tensor& k)
      : num_heads(q.size(0) * q.size(1)), num_queries(q.size(2)), num_keys(k.size(2)), head_size(q.size(3)) {}
  int64_t num_heads, num_queries, num_keys, head_size;  // the heads of all of the batch
};

// The rows of head `index` of [B, heads, N, d].
template <typename Value>
RowsOf<Value> head_rows(Value* data, const at::Tensor& x, int64_t index) {
  return {data + index / x.size(1) * x.stride(0) + index % x.size(1) * x.stride(1), x.stride(2)};
}
HeadRows head_of(const at::Tensor& x, int64_t index) { return head_rows(x.const_data_ptr<BFloat16>(), x, index); }
RowsOf<BFloat16> mutable_head_of(at::Tensor& x, int64_t index) {
  return head_rows(x.mutable_data_ptr<BFloat16>(), x, index);
}

// [B, heads, N, d] with the heads of a position side by side, as the layers around read and write them.
at::Tensor empty_heads(const at::Tensor& like) {
  return at::empty({like.size(0), like.size(2), like.size(1), like.size(3)}, like.options()).transpose(1, 2);
}

at::Tensor with_adjacent_values(const at::Tensor& x) { return x.stride(3) == 1 ? x : x.contiguous(); }

template <typename Value>
class Scratch {
 public:
  explicit Scratch(int64_t count) : values_(at::empty({count}, c10::CppTypeToScalarType<Value>::value)) {}
  operator Value*() { return values_.mutable_data_ptr<Value>(); }

 private:
  at::Tensor values_;
};

// The right operand rowsᵀ [d, count] in panels of kPanelColumns.
void pack_transposed(HeadRows rows, int64_t count, int64_t head_size, BFloat16* to) {
  const PanelSource source{rows.data, at::kBFloat16, 1, rows.stride};
  for (int64_t n = 0; n < count; n += kPanelColumns) {
    pack_panel(source, 0, head_size, n, std::min(kPanelColumns, count - n), to + n * head_size);
  }
}

// The right operand rows [count, d].
void pack_upright(HeadRows rows, int64_t count, int64_t head_size, BFloat16* to) {
  pack_panel({rows.data, at::kBFloat16, rows.stride, 1}, 0, count, 0, head_size, to);
}

// c [num_rows, count] = a [num_rows, d] · the operand that pack_transposed made.
void multiply_panels(HeadRows a, const BFloat16* panels, Rows c, int64_t num_rows, int64_t head_size, int64_t count) {
  for (int64_t n = 0; n < count; n += kPanelColumns) {
    const int64_t width = std::min(kPanelColumns, count - n);
    multiply_panel(a, {panels + n * head_size, width}, {c.data + n, c.stride}, num_rows, head_size, width,
                   /*accumulates=*/false);
  }
}

// to [d, even(count)] = rowsᵀ, a left operand; a last odd column is zero.
void transpose_rows(HeadRows rows, int64_t count, int64_t head_size, BFloat16* to) {
  const PanelSource source{rows.data, at::kBFloat16, 1, rows.stride};
  const int64_t width = even(count);
  Scratch<float> panel(head_size * kPanelColumns);
  for (int64_t n = 0; n < count; n += kPanelColumns) {
    const int64_t columns = std::min(kPanelColumns, count - n);
    pack_panel(source, 0, head_size, n, columns, static_cast<float*>(panel));
    for (int64_t i = 0; i < head_size; ++i) narrow_row(panel + i * columns, to + i * width + n, columns);
  }
  for (int64_t i = 0; width > count && i < head_size; ++i) to[i * width + count] = 0;
}

// to [count, d] = fromᵀ for from [d, count].
void narrow_transposed(const float* from, int64_t count, int64_t head_size, RowsOf<BFloat16> to) {
  const PanelSource source{from, at::kFloat, 1, count};
  Scratch<float> panel(kPanelColumns * head_size);
  for (int64_t first = 0; first < count; first += kPanelColumns) {
    const int64_t rows = std::min(kPanelColumns, count - first);
    pack_panel(source, first, rows, 0, head_size, static_cast<float*>(panel));
    for (int64_t i = 0; i < rows; ++i) narrow_row(panel + i * head_size, to.data + (first + i) * to.stride, head_size);
  }
}

// What the softmax of a query's scores leaves besides its weights.
struct SoftmaxRow {
  float sum;          // of the weights
  float log2_of_sum;  // of 2^(factor score)
};

// What the backward pass knows of each query.
struct QueryRow {
  const float* log2_of_sum;
  const float* grad_dot_out;  // Σ (gradient · output)
};

// Of one key with `count` queries: the weights of the softmax and the gradients of the scores.
struct KeyRow {
  const float *scores, *grad_weights;
  BFloat16 *weights, *grad_scores;  // with a zero behind an odd count
};

#if defined(__x86_64__)

#define DT_AVX512BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2")))

constexpr int64_t kLanes = 16;

DT_AVX512BF16 inline __mmask16 lanes_below(int64_t count) {
  return count >= kLanes ? static_cast<__mmask16>(0xFFFF) : static_cast<__mmask16>((1U << count) - 1);
}

// 2^x, to two units in the last place: 2^(whole part) times the Taylor polynomial of 2^f, |f| ≤ 1/2.
DT_AVX512BF16 inline __m512 exp2_lanes(__m512 x) {
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, whole);
  __m512 y = _mm512_set1_ps(1.5403530e-4F);
  for (const float coefficient : {1.3333558e-3F, 9.6181291e-3F, 5.5504109e-2F, 2.4022651e-1F, 6.9314718e-1F, 1.0F}) {
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(coefficient));
  }
  return _mm512_scalef_ps(y, whole);
}

DT_AVX512BF16 inline __m256i rounded(__m512 values) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values)); }

// weights = 2^(factor (score - highest)), with a zero behind an odd count.
DT_AVX512BF16 SoftmaxRow softmax_row(const float* scores, int64_t count, float factor, BFloat16* weights) {
  const __m512 lowest = _mm512_set1_ps(-INFINITY), factors = _mm512_set1_ps(factor);
  __m512 highest = lowest;
  for (int64_t i = 0; i < count; i += kLanes) {
    const __m512 score = _mm512_mask_loadu_ps(lowest, lanes_below(count - i), scores + i);
    highest = _mm512_max_ps(highest, _mm512_mask_mul_ps(lowest, lanes_below(count - i), score, factors));
  }
  const float top = _mm512_reduce_max_ps(highest);
  const __m512 tops = _mm512_set1_ps(top);
  __m512 sums = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += kLanes) {
    const __mmask16 here = lanes_below(count - i);
    const __m512 score = _mm512_maskz_loadu_ps(here, scores + i);
    const __m512 weight = _mm512_maskz_mov_ps(here, exp2_lanes(_mm512_fmsub_ps(score, factors, tops)));
    sums = _mm512_add_ps(sums, weight);
    _mm256_mask_storeu_epi16(weights + i, lanes_below(even(count) - i), rounded(weight));
  }
  const float sum = _mm512_reduce_add_ps(sums);
  return {sum, top + std::log2(sum)};
}

DT_AVX512BF16 void scale_row(const float* from, float scale, BFloat16* to, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const __mmask16 here = lanes_below(count - i);
    const __m512 value = _mm512_mul_ps(_mm512_maskz_loadu_ps(here, from + i), _mm512_set1_ps(scale));
    _mm256_mask_storeu_epi16(to + i, here, rounded(value));
  }
}

DT_AVX512BF16 inline __m512 widened(const BFloat16* from, __mmask16 here) {
  const __m256i bits = _mm256_maskz_loadu_epi16(here, from);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

DT_AVX512BF16 float dot(const BFloat16* a, const BFloat16* b, int64_t count) {
  __m512 sums = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += kLanes) {
    const __mmask16 here = lanes_below(count - i);
    sums = _mm512_fmadd_ps(widened(a + i, here), widened(b + i, here), sums);
  }
  return _mm512_reduce_add_ps(sums);
}

DT_AVX512BF16 inline __m256i backward_lanes(const KeyRow& row, const QueryRow& query, int64_t i, int64_t count,
                                            float factor, float scale) {
  const __mmask16 here = lanes_below(count - i), stored = lanes_below(even(count) - i);
  const __m512 exponent = _mm512_fmsub_ps(_mm512_maskz_loadu_ps(here, row.scores + i), _mm512_set1_ps(factor),
                                          _mm512_maskz_loadu_ps(here, query.log2_of_sum + i));
  const __m512 weight = _mm512_maskz_mov_ps(here, exp2_lanes(exponent));
  const __m512 change = _mm512_sub_ps(_mm512_maskz_loadu_ps(here, row.grad_weights + i),
                                      _mm512_maskz_loadu_ps(here, query.grad_dot_out + i));
  const __m256i grad = rounded(_mm512_mul_ps(_mm512_mul_ps(weight, change), _mm512_set1_ps(scale)));
  _mm256_mask_storeu_epi16(row.weights + i, stored, rounded(weight));
  _mm256_mask_storeu_epi16(row.grad_scores + i, stored, grad);
  return grad;
}

// Two keys at once: pairs[i] holds the gradients of both at query i. Without a second key it is zero there.
DT_AVX512BF16 void backward_rows(const KeyRow& first, const KeyRow* second, const QueryRow& query, int64_t count,
                                 float factor, float scale, BFloat16* pairs) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const __m256i low = backward_lanes(first, query, i, count, factor, scale);
    const __m256i high =
        second == nullptr ? _mm256_setzero_si256() : backward_lanes(*second, query, i, count, factor, scale);
    const __m512i both =
        _mm512_or_si512(_mm512_cvtepu16_epi32(low), _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
    _mm512_mask_storeu_epi32(pairs + 2 * i, lanes_below(count - i), both);
  }
}

bool has_bfloat16_lanes() { return __builtin_cpu_supports("avx512bf16") != 0; }

#else

SoftmaxRow softmax_row(const float*, int64_t, float, BFloat16*) { return {}; }
void scale_row(const float*, float, BFloat16*, int64_t) {}
float dot(const BFloat16*, const BFloat16*, int64_t) { return 0; }
void backward_rows(const KeyRow&, const KeyRow*, const QueryRow&, int64_t, float, float, BFloat16*) {}
bool has_bfloat16_lanes() { return false; }

#endif

float to_log2(double scale) { return static_cast<float>(scale * std::numbers::log2e); }

// out and log2_of_sums [B heads, N].
void forward_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale, at::Tensor& out,
                   float* log2_of_sums) {
  const Shape shape(q, k);
  const int64_t size = shape.head_size, num_keys = shape.num_keys, width = even(num_keys);
  const int64_t rows_per_block = std::clamp(kBlockScores / width / 16 * 16, kFewestQueries, kMostQueries);
  const int64_t blocks_per_head = (shape.num_queries + rows_per_block - 1) / rows_per_block;
  at::parallel_for(0, shape.num_heads * blocks_per_head, 1, [&](int64_t begin, int64_t end) {
    Scratch<BFloat16> keys(size * num_keys), values(width * size), weights(rows_per_block * width);
    Scratch<float> scores(rows_per_block * num_keys), sums(rows_per_block * size);
    int64_t packed_head = -1;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t head = task / blocks_per_head, first = task % blocks_per_head * rows_per_block;
      const int64_t num_rows = std::min(rows_per_block, shape.num_queries - first);
      if (head != packed_head) {
        pack_transposed(head_of(k, head), num_keys, size, keys);
        pack_upright(head_of(v, head), num_keys, size, values);
        packed_head = head;
      }
      const HeadRows queries = head_of(q, head);
      const RowsOf<BFloat16> to = mutable_head_of(out, head);
      multiply_panels({queries.data + first * queries.stride, queries.stride}, keys, {scores, num_keys}, num_rows, size,
                      num_keys);
      float row_sums[kMostQueries];
      for (int64_t row = 0; row < num_rows; ++row) {
        const auto [sum, log2_of_sum] =
            softmax_row(scores + row * num_keys, num_keys, to_log2(scale), weights + row * width);
        row_sums[row] = sum;
        log2_of_sums[head * shape.num_queries + first + row] = log2_of_sum;
      }
      multiply_panel(HeadRows{weights, width}, {values, size}, {sums, size}, num_rows, width, size,
                     /*accumulates=*/false);
      for (int64_t row = 0; row < num_rows; ++row) {
        scale_row(sums + row * size, 1 / row_sums[row], to.data + (first + row) * to.stride, size);
      }
    }
    end_multiplying_pairs();
  });
}

// The gradients of one head after another, with the memory that they need.
class HeadGradients {
 public:
  HeadGradients(const Shape& shape, double scale)
      : shape_(shape),
        scale_(static_cast<float>(scale)),
        factor_(to_log2(scale)),
        q_columns_(shape.head_size * shape.num_queries),
        grad_columns_(shape.head_size * shape.num_queries),
        q_pairs_(even(shape.num_queries) * shape.head_size),
        grad_pairs_(even(shape.num_queries) * shape.head_size),
        keys_across_(shape.head_size * even(shape.num_keys)),
        grad_q_across_(shape.head_size * shape.num_queries),
        grad_dot_out_(shape.num_queries) {}

  struct Inputs {
    HeadRows q, k, v, out, grad;
    const float* log2_of_sums;
  };
  struct Outputs {
    RowsOf<BFloat16> q, k, v;
  };

  void compute(const Inputs& in, const Outputs& out) {
    const int64_t size = shape_.head_size, num_queries = shape_.num_queries;
    pack_transposed(in.q, num_queries, size, q_columns_);
    pack_transposed(in.grad, num_queries, size, grad_columns_);
    pack_upright(in.q, num_queries, size, q_pairs_);
    pack_upright(in.grad, num_queries, size, grad_pairs_);
    transpose_rows(in.k, shape_.num_keys, size, keys_across_);
    for (int64_t i = 0; i < num_queries; ++i) {
      grad_dot_out_[i] = dot(in.grad.data + i * in.grad.stride, in.out.data + i * in.out.stride, size);
    }
    for (int64_t key = 0; key < shape_.num_keys; key += kKeysPerBlock) {
      const int64_t num_keys = std::min(kKeysPerBlock, shape_.num_keys - key);
      for (int64_t query = 0; query < num_queries; query += kQueriesPerBlock) {
        add_block(in, key, num_keys, query, std::min(kQueriesPerBlock, num_queries - query));
      }
      for (int64_t row = 0; row < num_keys; ++row) {
        narrow_row(grad_k_ + row * size, out.k.data + (key + row) * out.k.stride, size);
        narrow_row(grad_v_ + row * size, out.v.data + (key + row) * out.v.stride, size);
      }
    }
    narrow_transposed(grad_q_across_, num_queries, size, out.q);
  }

 private:
  // The gradients through the scores of some keys with some queries, which lie with a key to a row.
  void add_block(const Inputs& in, int64_t key, int64_t num_keys, int64_t query, int64_t num_queries) {
    const int64_t size = shape_.head_size, width = even(num_queries);
    const HeadRows keys{in.k.data + key * in.k.stride, in.k.stride}, values{in.v.data + key * in.v.stride, in.v.stride};
    multiply_panels(keys, q_columns_ + query * size, {scores_, num_queries}, num_keys, size, num_queries);
    multiply_panels(values, grad_columns_ + query * size, {grad_weights_, num_queries}, num_keys, size, num_queries);
    const QueryRow of_queries{in.log2_of_sums + query, grad_dot_out_ + query};
    const auto row = [&](int64_t i) {
      return KeyRow{scores_ + i * num_queries, grad_weights_ + i * num_queries, weights_ + i * width,
                    grad_scores_ + i * width};
    };
    for (int64_t i = 0; i < num_keys; i += 2) {
      const KeyRow first = row(i), second = row(i + 1);
      backward_rows(first, i + 1 < num_keys ? &second : nullptr, of_queries, num_queries, factor_, scale_,
                    grad_score_pairs_ + i * num_queries);
    }
    const bool adds_queries = query > 0;
    multiply_panel(HeadRows{weights_, width}, {grad_pairs_ + query * size, size}, {grad_v_, size}, num_keys, width,
                   size, adds_queries);
    multiply_panel(HeadRows{grad_scores_, width}, {q_pairs_ + query * size, size}, {grad_k_, size}, num_keys, width,
                   size, adds_queries);
    multiply_panel(HeadRows{keys_across_ + key, even(shape_.num_keys)}, {grad_score_pairs_, num_queries},
                   {grad_q_across_ + query, shape_.num_queries}, size, even(num_keys), num_queries,
                   /*accumulates=*/key > 0);
  }

  Shape shape_;
  float scale_, factor_;
  Scratch<BFloat16> q_columns_, grad_columns_, q_pairs_, grad_pairs_, keys_across_;
  Scratch<float> grad_q_across_, grad_dot_out_;
  Scratch<float> scores_{kKeysPerBlock * kQueriesPerBlock}, grad_weights_{kKeysPerBlock * kQueriesPerBlock};
  Scratch<BFloat16> weights_{kKeysPerBlock * kQueriesPerBlock}, grad_scores_{kKeysPerBlock * kQueriesPerBlock},
      grad_score_pairs_{kKeysPerBlock * kQueriesPerBlock};
  Scratch<float> grad_k_{kKeysPerBlock * shape_.head_size}, grad_v_{kKeysPerBlock * shape_.head_size};
};

struct BFloat16Attention : torch::autograd::Function<BFloat16Attention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q_in, const at::Tensor& k_in,
                            const at::Tensor& v_in, double scale) {
    const at::Tensor q = with_adjacent_values(q_in), k = with_adjacent_values(k_in), v = with_adjacent_values(v_in);
    at::Tensor out = empty_heads(q);
    at::Tensor log2_of_sums = at::empty({q.size(0) * q.size(1), q.size(2)}, at::kFloat);
    forward_heads(q, k, v, scale, out, log2_of_sums.mutable_data_ptr<float>());
    ctx->saved_data["scale"] = scale;
    ctx->save_for_backward({q, k, v, out, log2_of_sums});
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor q = saved[0], k = saved[1], v = saved[2], out = saved[3], log2_of_sums = saved[4];
    const at::Tensor grad = with_adjacent_values(grads[0]);
    const double scale = ctx->saved_data["scale"].toDouble();
    at::Tensor grad_q = empty_heads(q), grad_k = empty_heads(k), grad_v = empty_heads(v);
    const Shape shape(q, k);
    const float* sums = log2_of_sums.const_data_ptr<float>();
    at::parallel_for(0, shape.num_heads, 1, [&](int64_t begin, int64_t end) {
      HeadGradients gradients(shape, scale);
      for (int64_t i = begin; i < end; ++i) {
        gradients.compute({head_of(q, i), head_of(k, i), head_of(v, i), head_of(out, i), head_of(grad, i),
                           sums + i * shape.num_queries},
                          {mutable_head_of(grad_q, i), mutable_head_of(grad_k, i), mutable_head_of(grad_v, i)});
      }
      end_multiplying_pairs();
    });
    return {grad_q, grad_k, grad_v, {}};
  }
};

bool is_bfloat16_on_cpu(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kBFloat16; }

}  // namespace

bool bfloat16_attention_pays(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return is_bfloat16_on_cpu(q) && is_bfloat16_on_cpu(k) && is_bfloat16_on_cpu(v) && q.dim() == 4 &&
         q.size(0) == k.size(0) && q.size(1) == k.size(1) && v.sizes() == k.sizes() && q.size(3) == k.size(3) &&
         q.size(3) % 2 == 0 && has_bfloat16_lanes() && product_dtype(q.device(), at::kBFloat16) == at::kBFloat16;
}

at::Tensor bfloat16_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              std::optional<double> scale) {
  return BFloat16Attention::apply(q, k, v, scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3)))));
}

}  // namespace difftune::nn
