/*
 * base: the shared vocabulary. Every other folder includes this header, and this folder knows
 * nobody.
 *
 *   limits.h  every limit of the program, with its unit and its reason
 *   error.h   the one table of errors: reason, gRPC code, HTTP status, applied, retry
 *   memory.h  allocation that stops the process when memory is out, and arenas
 *   bytes.h   text and bytes as slices, readers and writers over them, hashes, base64
 *   clock.h   time as an input
 *   log.h     one line for each event, on standard error
 *   metrics.h counters and histograms, and their text for Prometheus
 *   assert.h  assertions that stay on in production
 */
#ifndef ZANDAKA_BASE_H
#define ZANDAKA_BASE_H

#define BASE_MUST_USE __attribute__((warn_unused_result)) /* a result that must be looked at */

#include "base/assert.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"

#endif
