/*
 * A look over a JSON body before it is parsed. jansson would take a hundred times the size of a
 * body of empty values, so its values and its depth are counted first. And jansson forgets how a
 * number was written (it reads `-0` as 0, and gives up at 20 digits without saying where), so the
 * first number that is not plain digits is remembered by its place in the order of the values.
 * jansson keeps that order: whoever reads the tree and counts along knows that value when it comes,
 * and its path.
 */
#ifndef ZANDAKA_API_JSON_SURVEY_H
#define ZANDAKA_API_JSON_SURVEY_H

#include "base/base.h"

/* Values are counted from 1, in the body's order, an object or a list before what is in it; an
 * object's keys are no values. */
struct api_json_survey {
    size_t n_values;
    size_t odd_number; /* the first number that is not plain digits up to 2^53; 0: none */
    size_t depth_max;
};

/* Right for JSON. For anything else some counts, which do not matter: jansson refuses it. */
struct api_json_survey api_json_survey_of(struct base_text body);

#endif
