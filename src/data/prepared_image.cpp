#include "data/prepared_image.h"

#include <ATen/ops/empty.h>

#include <array>

#include "base/error.h"
#include "image/read_image.h"
#include "image/resize.h"
#include "image/transform.h"

namespace difftune {
namespace {

// torchvision's ToTensor and Normalize([0.5], [0.5]) of each byte value, in its order of operations.
std::array<float, 256> make_byte_values() {
  std::array<float, 256> values{};
  for (int i = 0; i < 256; ++i) values[static_cast<size_t>(i)] = (static_cast<float>(i) / 255.0f - 0.5f) / 0.5f;
  return values;
}

at::Tensor to_pixels(const Image& image) {
  static const std::array<float, 256> kValues = make_byte_values();
  const int width = image.width_px, height = image.height_px, channels = image.channels;
  at::Tensor pixels = at::empty({3, height, width}, at::kFloat);
  for (int c = 0; c < 3; ++c) {
    float* out = pixels.mutable_data_ptr<float>() + int64_t{c} * height * width;
    for (int y = 0; y < height; ++y) {
      const uint8_t* in = image.row(y) + c;
      for (int x = 0; x < width; ++x, in += channels) *out++ = kValues[*in];
    }
  }
  return pixels;
}

at::Tensor to_alpha_mask(const Image& image) {
  at::Tensor mask = at::empty({image.height_px, image.width_px}, at::kFloat);
  float* out = mask.mutable_data_ptr<float>();
  for (int y = 0; y < image.height_px; ++y) {
    const uint8_t* in = image.row(y) + 3;
    for (int x = 0; x < image.width_px; ++x, in += 4) *out++ = static_cast<float>(*in) / 255.0f;
  }
  return mask;
}

}  // namespace

PointPx centre_corner(const ImageRecord& image) {
  return {(image.resized.width - image.bucket.width) / 2, (image.resized.height - image.bucket.height) / 2};
}

PreparedImage prepare_image(const Dataset& dataset, const ImageRecord& record, PointPx corner, bool flip,
                            bool reference_quirks) {
  const bool with_mask = dataset.subset_of(record).alpha_mask;
  Image image = read_image(record.path, with_mask, reference_quirks ? ReadOptions::reference() : ReadOptions{});
  if (SizePx{image.width_px, image.height_px} != record.size) {
    fail("{}: the image is {}x{} but was {} when the run began: do not change images during a run", record.path,
         image.width_px, image.height_px, to_string(record.size));
  }
  image = resize(std::move(image), record.resized.width, record.resized.height,
                 parse_interpolation(dataset.interpolation_of(record).value_or("")));
  if (record.resized != record.bucket) {
    image = crop(image, corner.x, corner.y, record.bucket.width, record.bucket.height);
  }
  if (flip) image = flip_horizontal(image);
  return {to_pixels(image), with_mask ? to_alpha_mask(image) : at::Tensor()};
}

}  // namespace difftune
