"""A spider that reads the pages of a shop, and asks as often as it is told to.

Run by `supervise`, which gives it its parameters; by hand:
    scrapy runspider spider.py -a start=http://127.0.0.1:8099/pages/1 -s DOWNLOAD_DELAY=0.1
"""

import os
import sys

import scrapy
from scrapy.crawler import CrawlerProcess


class Shop(scrapy.Spider):
    name = "shop"
    # Scrapy hands a page with an error status to nobody, and ends well. Here the spider wants to see it.
    handle_httpstatus_list = [429, 503]
    custom_settings = {
        "RETRY_ENABLED": False,  # when and how to try again is the supervisor's business
        "TELNETCONSOLE_ENABLED": False,
        "CONCURRENT_REQUESTS": 1,
        "LOG_LEVEL": "INFO",
        "STATS_DUMP": False,  # its lines are figures, not words: "log_count/ERROR" is no error
        "LOG_FORMAT": "%(levelname)s %(name)s: %(message)s",  # the level first, so that `logs -p` knows it
    }

    def __init__(self, start, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.start_urls = [start]
        self.items = 0

    def parse(self, response):
        if response.status != 200:
            wait = response.headers.get("Retry-After", b"").decode()
            self.logger.error("HTTP %s from %s, Retry-After: %s", response.status, response.url, wait)
            raise scrapy.exceptions.CloseSpider(f"http_{response.status}")
        self.items += 1
        if self.items % 10 == 0:
            self.logger.info("%d pages", self.items)
        yield {"page": int(response.css("h1::text").re_first(r"\d+"))}  # fails when the shop changed its pages
        yield from response.follow_all(css="a.next")

    def closed(self, reason):
        self.logger.info("closed: %s after %d pages", reason, self.items)


def main():
    """Exit code 1 unless the crawl came to its own end: scrapy itself would say 0."""
    start, qpi = sys.argv[1], int(sys.argv[2])
    process = CrawlerProcess({"DOWNLOAD_DELAY": 1 / qpi})
    crawler = process.create_crawler(Shop)
    process.crawl(crawler, start=start)
    process.start()
    reason = crawler.stats.get_value("finish_reason")
    errors = crawler.stats.get_value("log_count/ERROR", 0)
    sys.exit(0 if reason == "finished" and not errors else 1)


if __name__ == "__main__":
    main()
