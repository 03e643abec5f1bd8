/* The descriptors of all services' files with what they import, made at build time: an encoded
 * google.protobuf.FileDescriptorSet. */
#ifndef ZANDAKA_API_DESCRIPTORS_H
#define ZANDAKA_API_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t api_descriptors[];
extern const size_t api_descriptors_length; /* bytes */

#endif
